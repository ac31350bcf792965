/*
 * jail_fs: what a program sees, and the box that it works in.
 *
 * The box is a tmpfs that the supervisor mounts for each run, outside of the job's namespaces: files go in before the program starts and
 * are read out after its last process is dead, beneath the box's own descriptor and through no link.  Inside, the tree is an empty tmpfs
 * with read-only binds of /usr and of the few files of /etc that interpreters need, made once when the lane starts and bound whole for each job.
 * Host paths that do not exist then are left out.
 */
#include "jail_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROOT JAIL_RUN_DIR "/root"

/* What is shown of the host, read-only. */
static const char *const tops[] = { "usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32" };
static const char *const etc[] = { "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "mime.types", "java-17-openjdk" };
static const char *const nodes[] = { "null", "zero", "full", "random", "urandom" };

/* ---- inside: the tree, in init; returns 0 or -1 with errno; no allocation ---- */

static int set_flags(const char *path, uint64_t flags)
{
	struct mount_attr a = { .attr_set = flags };

	/* mount_setattr leaves the atime flags alone, which a remount from a user namespace may not change. */
	return (int)syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &a, sizeof(a));
}

static int bind_read_only(const char *from, const char *to)
{
	if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0)
		return -1;
	return set_flags(to, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

static int touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : close(fd);
}

static int put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	return close(fd) == 0 && n == (ssize_t)strlen(text) ? 0 : -1;
}

/* A top folder of the host: the same link, or a read-only bind, or left out. */
static int place_top(const char *base, const char *name)
{
	char host[128], mine[64], target[256];
	struct stat st;
	ssize_t n;

	(void)snprintf(host, sizeof(host), "%s/%s", base, name);
	(void)snprintf(mine, sizeof(mine), ROOT "/%s", name);
	if (lstat(host, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	if (S_ISLNK(st.st_mode)) {
		n = readlink(host, target, sizeof(target) - 1);
		if (n < 0)
			return -1;
		target[n] = 0;
		return symlink(target, mine);
	}
	return mkdir(mine, 0755) < 0 ? -1 : bind_read_only(host, mine);
}

static int place_etc(const char *base)
{
	if (mkdir(ROOT "/etc", 0755) < 0 || put_text(ROOT "/etc/passwd", "sandbox:x:1000:1000:sandbox:/work:/bin/sh\n") < 0 ||
	    put_text(ROOT "/etc/group", "sandbox:x:1000:\n") < 0 ||
	    put_text(ROOT "/etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost\n") < 0 ||
	    put_text(ROOT "/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n") < 0)
		return -1;
	for (size_t i = 0; i < COUNT_OF(etc); i++) {
		char host[128], mine[128];
		struct stat st;

		(void)snprintf(host, sizeof(host), "%s/etc/%s", base, etc[i]);
		(void)snprintf(mine, sizeof(mine), ROOT "/etc/%s", etc[i]);
		if (stat(host, &st) < 0)
			continue;
		if ((S_ISDIR(st.st_mode) ? mkdir(mine, 0755) : touch(mine)) < 0 || bind_read_only(host, mine) < 0)
			return -1;
	}
	return 0;
}

static int place_dev(void)
{
	if (mkdir(ROOT "/dev", 0755) < 0)
		return -1;
	for (size_t i = 0; i < COUNT_OF(nodes); i++) {
		char host[32], mine[64];

		(void)snprintf(host, sizeof(host), "/dev/%s", nodes[i]);
		(void)snprintf(mine, sizeof(mine), ROOT "/dev/%s", nodes[i]);
		if (touch(mine) < 0 || mount(host, mine, NULL, MS_BIND, NULL) < 0)
			return -1;
	}
	if (symlink("/proc/self/fd", ROOT "/dev/fd") < 0 || symlink("/proc/self/fd/0", ROOT "/dev/stdin") < 0 ||
	    symlink("/proc/self/fd/1", ROOT "/dev/stdout") < 0 || symlink("/proc/self/fd/2", ROOT "/dev/stderr") < 0 ||
	    mkdir(ROOT "/dev/shm", 01777) < 0)
		return -1;
	return 0;
}

static int place_proc(void)
{
	if (mkdir(ROOT "/proc", 0755) < 0 && errno != EEXIST)
		return -1;
	/* Only what belongs to processes: no cpuinfo, no kallsyms, no sys. */
	return mount("proc", ROOT "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "subset=pid");
}

static int place_box(const struct jail_spawn *s)
{
	static const char *const parts[][2] = { { "work", ROOT JAIL_BOX }, { "tmp", ROOT "/tmp" }, { "shm", ROOT "/dev/shm" } };

	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		char from[192];

		(void)snprintf(from, sizeof(from), "%s/%s", s->box, parts[i][0]);
		if ((mkdir(parts[i][1], 0755) < 0 && errno != EEXIST) || mount(from, parts[i][1], NULL, MS_BIND, NULL) < 0 ||
		    set_flags(parts[i][1], MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV) < 0)
			return -1;
	}
	return 0;
}

/* The tree without what is a job's own. */
static int place_tree(const char *base, unsigned long flags)
{
	if (mount("tmpfs", ROOT, "tmpfs", flags, "size=256k,nr_inodes=512,mode=755") < 0)
		return -1;
	for (size_t i = 0; i < COUNT_OF(tops); i++) {
		if (place_top(base, tops[i]) < 0)
			return -1;
	}
	return place_etc(base);
}

int jail_fs_template(const char *base, const char *program)
{
	static const char *const folders[] = { "dev", "dev/shm", "proc", "sys", "work", "tmp" };

	/* A runtime in a user namespace may not remount what it cannot repeat the flags of; in this tmpfs lies nothing but folders of ours. */
	if (place_tree(base, 0) < 0)
		return -1;
	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		char mine[64];

		(void)snprintf(mine, sizeof(mine), ROOT "/%s", folders[i]);
		if (mkdir(mine, 0755) < 0)
			return -1;
	}
	return touch(ROOT JAIL_INSIDE) < 0 ? -1 : bind_read_only(program, ROOT JAIL_INSIDE);
}

/* pivot_root(2), "pivot_root(".", ".")": the old root ends up above the new one and is then detached. */
static int become_root(void)
{
	return chdir(ROOT) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ? -1 : 0;
}

int jail_fs_lane(const char *base)
{
	/* Boxes that the supervisor mounts are to be seen in here, nothing of ours out there. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return -1;
	if (place_tree(base, MS_NOSUID | MS_NODEV) < 0 || place_dev() < 0)
		return -1;
	/* All of /proc: only who sees one may mount another, as each job does, and id maps are written there. */
	if (mkdir(ROOT "/proc", 0755) < 0 || mount("proc", ROOT "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return -1;
	if (mkdir(ROOT "/run", 0755) < 0 || mkdir(ROOT JAIL_RUN_DIR, 0755) < 0 || mount(JAIL_RUN_DIR, ROOT JAIL_RUN_DIR, NULL, MS_BIND, NULL) < 0)
		return -1;
	if (become_root() < 0)
		return -1;
	/* In there once more what is the same for all jobs: each takes it whole instead of making it. */
	return place_tree("", MS_NOSUID | MS_NODEV) < 0 || place_dev() < 0 || mkdir(ROOT "/proc", 0755) < 0 || mkdir(ROOT JAIL_BOX, 0755) < 0 ||
	                       mkdir(ROOT "/tmp", 0755) < 0 ?
	               -1 :
	               0;
}

/* The tree without /proc and box, whose mounts nobody below the lane can take apart. */
static int place_shared(void)
{
	return mount(ROOT, ROOT, NULL, MS_BIND | MS_REC, NULL);
}

int jail_fs_enter(const struct jail_spawn *s)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || place_shared() < 0 || place_proc() < 0 || place_box(s) < 0)
		return -1;
	if (become_root() < 0)
		return -1;
	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &(struct mount_attr){ .attr_set = MOUNT_ATTR_RDONLY },
	            sizeof(struct mount_attr)) < 0)
		return -1;
	return chdir(JAIL_BOX);
}

/* ---- outside: the box ---- */

static enum rc mount_box(const char *path, int64_t bytes, unsigned long how, struct err *err)
{
	char options[96];

	(void)snprintf(options, sizeof(options), "size=%lld,nr_inodes=4096,mode=755", (long long)bytes);
	return mount("airlock-box", path, "tmpfs", MS_NOSUID | MS_NODEV | how, options) == 0 ?
	               RC_OK :
	               err_set(err, RC_BROKEN, "box", "cannot mount a tmpfs of %lld bytes at %s: %s", (long long)bytes, path, strerror(errno));
}

enum rc jail_box_resize(const char *path, int64_t bytes, struct err *err)
{
	return mount_box(path, bytes, MS_REMOUNT, err);
}

enum rc jail_box_mount(const char *path, int64_t bytes, uint32_t uid, struct err *err)
{
	static const char *const parts[] = { "work", "tmp", "shm" };
	enum rc mounted = mount_box(path, bytes, 0, err);

	if (mounted != RC_OK)
		return mounted;
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		char part[192];

		(void)snprintf(part, sizeof(part), "%s/%s", path, parts[i]);
		if (mkdir(part, 0755) < 0 || chown(part, uid, uid) < 0 || (i > 0 && chmod(part, 01777) < 0)) {
			enum rc rc = err_set(err, RC_BROKEN, "box", "cannot make %s: %s", part, strerror(errno));

			jail_box_unmount(path);
			return rc;
		}
	}
	return RC_OK;
}

void jail_box_unmount(const char *path)
{
	/* Detached: a process that is still dying may hold it; its memory goes with the last of them. */
	while (umount2(path, MNT_DETACH) == 0)
		continue;
}

static int open_work(const char *path)
{
	char work[192];

	(void)snprintf(work, sizeof(work), "%s/work", path);
	return open(work, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Relative to folder, never above it, through no link, into no other mount. */
static int open_beneath(int folder, const char *name, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC | O_NOFOLLOW | (flags & O_PATH ? 0 : O_NONBLOCK),
		.mode = flags & O_CREAT ? 0600 : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, folder, name, &how, sizeof(how));
}

static int open_in_work(const char *path, const char *name, uint64_t flags)
{
	int work = open_work(path), fd, saved;

	if (work < 0)
		return -1;
	fd = open_beneath(work, name, flags);
	saved = errno;
	(void)close(work);
	errno = saved;
	return fd;
}

/* One folder below another; *at moves into it. */
static int step_into(int *at, const char *part, uint32_t uid)
{
	int next, rc = -1;

	if (mkdirat(*at, part, 0755) < 0 && errno != EEXIST)
		return -1;
	next = open_beneath(*at, part, O_PATH | O_DIRECTORY);
	if (next >= 0)
		rc = fchownat(next, "", uid, uid, AT_EMPTY_PATH);
	(void)close(*at);
	*at = next;
	return rc;
}

/* The folders of a/b/c, each from the descriptor of the one above: no name leads out, whatever it holds. */
static enum rc make_folders(const char *path, const char *name, uint32_t uid, struct err *err)
{
	int at = open_work(path);
	const char *slash;
	bool ok = at >= 0;

	for (; ok && (slash = strchr(name, '/')); name = slash + 1) {
		char part[JAIL_PATH_BYTES];

		ok = snprintf(part, sizeof(part), "%.*s", (int)(slash - name), name) < (int)sizeof(part) && step_into(&at, part, uid) == 0;
	}
	if (!ok)
		(void)err_set(err, RC_NEVER, "file_name", "cannot make the folder of '%s': %s", name, strerror(errno));
	if (at >= 0)
		(void)close(at);
	return ok ? RC_OK : RC_NEVER;
}

enum rc jail_box_put(const char *path, const struct jail_file *f, uint32_t uid, struct err *err)
{
	size_t done = 0;
	enum rc rc = make_folders(path, f->name, uid, err);
	int fd;

	if (rc != RC_OK)
		return rc;
	fd = open_in_work(path, f->name, O_WRONLY | O_CREAT | O_EXCL);
	if (fd < 0)
		return err_set(err, RC_NEVER, "file_name", "cannot place '%s': %s", f->name, strerror(errno));
	while (done < f->bytes.len) {
		ssize_t n = write(fd, f->bytes.ptr + done, f->bytes.len - done);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done < f->bytes.len)
		rc = err_set(err, RC_NEVER, "file_too_large", "'%s' does not fit into the sandbox's disk", f->name);
	else if (fchown(fd, uid, uid) < 0 || fchmod(fd, f->executable ? 0755 : 0644) < 0)
		rc = err_set(err, RC_BROKEN, "box", "'%s': %s", f->name, strerror(errno));
	(void)close(fd); /* a tmpfs has nothing left to say */
	return rc;
}

enum rc jail_box_get(const char *path, const char *name, struct buf *out, struct err *err)
{
	enum { PIECE = 65536 };
	int fd = open_in_work(path, name, O_RDONLY);
	struct stat st;
	ssize_t n = 1;
	enum rc rc = RC_OK;

	if (fd < 0)
		return err_set(err, RC_NEVER, errno == ENOENT ? "missing" : errno == ELOOP ? "symlink" : errno == EXDEV ? "outside" : "unreadable",
		               "%s", strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
		rc = err_set(err, RC_NEVER, "type", "not a regular file with one name");
	else if (st.st_size > (off_t)(out->max - out->len))
		rc = err_set(err, RC_NEVER, "size", "larger than what is left of the ceiling");
	while (rc == RC_OK && n > 0) {
		char *room = buf_room(out, PIECE < out->max - out->len ? PIECE : out->max - out->len);

		if (!room || out->len == out->max)
			break;
		n = read(fd, room, PIECE < out->max - out->len ? PIECE : out->max - out->len);
		if (n > 0)
			buf_grew(out, (size_t)n);
	}
	(void)close(fd);
	if (rc == RC_OK && n < 0)
		rc = err_set(err, RC_NEVER, "unreadable", "%s", strerror(errno));
	return rc;
}

static enum rc explain_list(struct buf *out, const char *title, const char *under, const char *const *names, size_t count)
{
	enum rc rc = buf_printf(out, "  %-18s", title);

	for (size_t i = 0; rc == RC_OK && i < count; i++)
		rc = buf_printf(out, " %s%s", under, names[i]);
	return rc == RC_OK ? buf_add_text(out, "\n") : rc;
}

enum rc jail_fs_explain(struct buf *out)
{
	enum rc rc = buf_add_text(out, "files\n");

	if (rc == RC_OK)
		rc = explain_list(out, "shown, read-only", "/", tops, COUNT_OF(tops));
	if (rc == RC_OK)
		rc = explain_list(out, "", "/etc/", etc, COUNT_OF(etc));
	if (rc == RC_OK)
		rc = explain_list(out, "devices", "/dev/", nodes, COUNT_OF(nodes));
	return rc == RC_OK ? buf_add_text(out, "  writable           /work /tmp /dev/shm: one tmpfs, fresh for each run, with the disk limit, 4096 inodes, no setuid\n"
	                                       "  /proc              of its own processes only\n"
	                                       "  everything else    is not there\n") :
	                     rc;
}
