#include "jail_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/draft.h"

enum { KEY_BYTES = 16 * 1024 * 1024, PATH = 512 };

bool jail_cache_key(const struct doc *job, const char *base, char key[SHA256_HEX_BYTES])
{
	AUTO_BUF struct buf all = BUF_INIT(KEY_BYTES);
	AUTO_DRAFT struct draft *parts = draft_new_array();
	const struct doc *compile = doc_get(job, "compile"), *argv = doc_get(compile, "argv");
	const struct doc *in[] = { argv, doc_get(compile, "product"), doc_get(job, "env"), doc_get(job, "profile"), doc_get(job, "files") };
	struct slice compiler = doc_text(doc_at(argv, 0));
	struct sha256 sum;
	struct stat st;
	char path[PATH];

	if (compiler.len == 0 || snprintf(path, sizeof(path), "%s%s", base, compiler.ptr) >= (int)sizeof(path) || stat(path, &st) < 0)
		return false;
	for (size_t i = 0; i < COUNT_OF(in); i++)
		draft_add(parts, in[i] ? draft_copy_of(in[i]) : draft_new_null());
	if (draft_write(parts, &all) != RC_OK ||
	    buf_printf(&all, " %llu %llu %lld %lld.%09ld", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino, (long long)st.st_size,
	               (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec) != RC_OK)
		return false;
	sum = digest_sha256(buf_slice(&all));
	digest_hex(&sum, key);
	return true;
}

bool jail_cache_get(const char *folder, const char *key, struct buf *out)
{
	size_t before = out->len;
	char path[PATH], *room;
	struct stat st;
	ssize_t n = -1;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, key); /* a cut path does not open */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= JAIL_CACHE_ONE_BYTES && (room = buf_room(out, (size_t)st.st_size)))
		n = read(fd, room, (size_t)st.st_size);
	(void)close(fd); /* read only */
	if (n <= 0 || n != st.st_size) {
		buf_cut(out, before);
		return false;
	}
	buf_grew(out, (size_t)n);
	return true;
}

static void empty(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0); /* another lane was faster */
	}
	if (d)
		(void)closedir(d);
}

void jail_cache_put(const char *folder, const char *key, struct slice bytes)
{
	char path[PATH], made[PATH];
	ssize_t n = -1;
	int fd;

	if (bytes.len == 0 || bytes.len > JAIL_CACHE_ONE_BYTES)
		return;
	/* Under a name of this lane's first: nobody sees half a product. */
	(void)snprintf(path, sizeof(path), "%s/%s", folder, key);
	(void)snprintf(made, sizeof(made), "%s/new-%d", folder, (int)getpid());
	fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		n = write(fd, bytes.ptr, bytes.len);
	if (fd >= 0)
		(void)close(fd); /* a tmpfs has nothing left to say */
	if (n == (ssize_t)bytes.len && rename(made, path) == 0)
		return;
	(void)unlink(made);
	empty(folder);
}
