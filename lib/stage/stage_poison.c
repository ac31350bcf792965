/*
 * stage_poison: see the header.  A file is two pages at most and lives as long as the folder.  Its table changes only
 * under flock: by the owner, or by a starter that found it without one.  Readers map it without a lock; each row carries a
 * check value over its bytes, so that a row that is just being written is passed over.
 */
#include "stage/stage_poison.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rights.h"

enum { FILES_MAX = 256, HOLES_MAX = 16, MAGIC = 0x4b534f50, LAYOUT = 1, PATH_BYTES = 1024 };

struct row {
	struct poison_at at;
	uint32_t kills;
	uint64_t check;
};
struct table {
	uint32_t magic, layout;
	volatile uint32_t phase; /* POISON_FREE: at is meaningless.  Written last, cleared first */
	struct poison_at at;
	struct row suspects[POISON_SUSPECTS];
};

struct poison {
	char *folder, *step;
	int fd, number;
	struct table *mine;
	struct row *sum; /* of all files; suspects are rare, so a list does */
	size_t sum_count;
};

static uint64_t check_of(const struct row *r)
{
	const unsigned char *bytes = (const unsigned char *)&r->at;
	uint64_t h = 0xcbf29ce484222325u + r->kills; /* FNV-1a: against torn writes, not against people */

	for (size_t i = 0; i < offsetof(struct poison_at, partition) + sizeof(r->at.partition); i++)
		h = (h ^ bytes[i]) * 0x100000001b3u;
	return h;
}

static bool same(const struct poison_at *a, const struct poison_at *b)
{
	return a->offset == b->offset && a->partition == b->partition && memcmp(a->topic_id, b->topic_id, POISON_ID_BYTES) == 0;
}

static void file_path(const char *folder, const char *step, int number, char out[PATH_BYTES])
{
	(void)snprintf(out, PATH_BYTES, "%s/%s.%d.poison", folder, step, number); /* a cut path fails to open, and is reported */
}

/* ---- one table ---- */

static void add_kill(struct row *rows, size_t count, const struct poison_at *at)
{
	struct row *least = &rows[0];

	for (size_t i = 0; i < count; i++) {
		if (rows[i].kills > 0 && same(&rows[i].at, at)) {
			rows[i].kills++;
			rows[i].check = check_of(&rows[i]);
			return;
		}
		if (rows[i].kills < least->kills)
			least = &rows[i];
	}
	least->at = *at;
	least->kills = 1;
	least->check = check_of(least);
}

/* Its owner died with a message in hand?  Then that is a suspect.  Held by flock. */
static void settle(struct table *t)
{
	if (t->magic != MAGIC || t->layout != LAYOUT) {
		memset(t, 0, sizeof(*t));
		t->magic = MAGIC;
		t->layout = LAYOUT;
	}
	if (t->phase == POISON_FREE)
		return;
	add_kill(t->suspects, POISON_SUSPECTS, &t->at);
	t->phase = POISON_FREE;
}

static struct table *map_file(int fd, bool write)
{
	void *at;

	if (write && ftruncate(fd, sizeof(struct table)) < 0)
		return NULL;
	at = mmap(NULL, sizeof(struct table), write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

/* ---- the folder ---- */

static enum rc make_folder(const char *folder, const char *user, unsigned *uid, unsigned *gid, struct err *err)
{
	enum rc rc = RC_OK;

	*uid = geteuid();
	*gid = getegid();
	if (user[0])
		rc = rights_find_user(user, uid, gid, err);
	if (rc != RC_OK)
		return rc;
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return err_set(err, RC_NEVER, "poison_folder", "stage.poison_dir %s: %s", folder, strerror(errno));
	if (user[0] && chown(folder, *uid, *gid) < 0)
		return err_set(err, RC_NEVER, "poison_folder", "stage.poison_dir %s: %s", folder, strerror(errno));
	return RC_OK;
}

/* Look at file number i: settle it if nobody owns it, and keep it if we have none yet. */
static enum rc visit(struct poison *p, int i, unsigned uid, unsigned gid, bool create, struct err *err)
{
	char path[PATH_BYTES];
	struct table *t;
	int fd;

	file_path(p->folder, p->step, i, path);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
	if (fd < 0)
		return errno == ENOENT ? RC_OK : err_set(err, RC_NEVER, "poison_file", "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) { /* its owner lives */
		(void)close(fd);
		return RC_OK;
	}
	t = map_file(fd, true);
	if (!t || (geteuid() == 0 && fchown(fd, uid, gid) < 0)) {
		(void)close(fd);
		return err_set(err, RC_NEVER, "poison_file", "%s: %s", path, strerror(errno));
	}
	settle(t);
	if (!p->mine) {
		p->mine = t;
		p->fd = fd;
		p->number = i;
		return RC_OK;
	}
	(void)munmap(t, sizeof(*t)); /* our own mapping: cannot fail */
	(void)close(fd);             /* gives the lock back */
	return RC_OK;
}

enum rc poison_open(const char *folder, const char *step, const char *user, struct poison **out, struct err *err)
{
	struct poison *p = mem_new(sizeof(*p));
	unsigned uid = 0, gid = 0;
	enum rc rc = make_folder(folder, user, &uid, &gid, err);

	p->fd = -1;
	p->folder = mem_text(folder);
	p->step = mem_text(step);
	for (int i = 0; rc == RC_OK && i < FILES_MAX; i++)
		rc = visit(p, i, uid, gid, false, err);
	for (int i = 0; rc == RC_OK && !p->mine && i < FILES_MAX; i++)
		rc = visit(p, i, uid, gid, true, err);
	if (rc == RC_OK && !p->mine)
		rc = err_set(err, RC_NEVER, "poison_files", "%s: all %d files are owned", folder, FILES_MAX);
	if (rc != RC_OK) {
		poison_close(p);
		return rc;
	}
	poison_sum(p);
	*out = p;
	return RC_OK;
}

void poison_close(struct poison *p)
{
	if (!p)
		return;
	if (p->mine) {
		poison_clear(p);
		(void)munmap(p->mine, sizeof(*p->mine)); /* our own mapping: cannot fail */
	}
	if (p->fd >= 0)
		(void)close(p->fd); /* gives the lock back */
	mem_free(p->sum);
	mem_free(p->folder);
	mem_free(p->step);
	mem_free(p);
}

/* ---- in hand ---- */

void poison_hold(struct poison *p, const struct poison_at *at, enum poison_phase phase)
{
	p->mine->phase = POISON_FREE;
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* the kernel sees our stores in program order when we die */
	p->mine->at = *at;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	p->mine->phase = phase;
}

void poison_clear(struct poison *p)
{
	p->mine->phase = POISON_FREE;
}

/* ---- suspects ---- */

int poison_kills(const struct poison *p, const struct poison_at *at)
{
	for (size_t i = 0; i < p->sum_count; i++) {
		if (same(&p->sum[i].at, at))
			return (int)p->sum[i].kills;
	}
	return 0;
}

static void add_row(struct poison *p, const struct row *r)
{
	for (size_t i = 0; i < p->sum_count; i++) {
		if (same(&p->sum[i].at, &r->at)) {
			p->sum[i].kills += r->kills;
			return;
		}
	}
	p->sum = mem_resize(p->sum, (p->sum_count + 1) * sizeof(*p->sum));
	p->sum[p->sum_count++] = *r;
}

void poison_sum(struct poison *p)
{
	int holes = 0;

	p->sum_count = 0;
	for (int i = 0; i < FILES_MAX && holes < HOLES_MAX; i++) {
		char path[PATH_BYTES];
		struct table *t;
		struct stat st;
		int fd;

		file_path(p->folder, p->step, i, path);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0) {
			holes++; /* numbers have holes when files were removed by hand; many mean the end */
			continue;
		}
		t = fstat(fd, &st) == 0 && st.st_size >= (off_t)sizeof(*t) ? map_file(fd, false) : NULL;
		for (size_t k = 0; t && t->magic == MAGIC && t->layout == LAYOUT && k < POISON_SUSPECTS; k++) {
			struct row r = t->suspects[k];

			if (r.kills > 0 && r.check == check_of(&r))
				add_row(p, &r);
		}
		if (t)
			(void)munmap(t, sizeof(*t)); /* our own mapping: cannot fail */
		(void)close(fd);
	}
}

static bool lies_before(const struct poison_at *a, const struct poison_at *at)
{
	return a->offset < at->offset && a->partition == at->partition && memcmp(a->topic_id, at->topic_id, POISON_ID_BYTES) == 0;
}

void poison_forget(struct poison *p, const struct poison_at *at)
{
	size_t kept = 0;

	for (size_t i = 0; i < POISON_SUSPECTS; i++) {
		if (p->mine->suspects[i].kills > 0 && lies_before(&p->mine->suspects[i].at, at))
			memset(&p->mine->suspects[i], 0, sizeof(p->mine->suspects[i]));
	}
	for (size_t i = 0; i < p->sum_count; i++) {
		if (!lies_before(&p->sum[i].at, at))
			p->sum[kept++] = p->sum[i];
	}
	p->sum_count = kept;
}
