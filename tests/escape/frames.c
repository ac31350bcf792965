/*
 * frames: the jail as its worker might treat it after being taken over.  Raw frames over a socket of our own: names that climb, counts and
 * limits without bounds, frames cut short, lengths that lie; each must be answered with a refusal or end the jail, and the host stays as
 * it was.  Then the jail is killed while a program runs: nothing of it may outlive it.
 */
#include "frames.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/doc.h"
#include "base/mem.h"

enum { JAIL_FD = 3, ANSWER_MS = 30000, ANSWER_BYTES = 16 * 1024 * 1024 };

#define LIMITS "\"limits\":{\"wall_ms\":5000,\"cpu_ms\":5000,\"memory_bytes\":67108864,\"pids\":16,\"disk_bytes\":1048576,\"output_bytes\":4096}"
#define HEAD "{\"job\":7,\"profile\":\"strict\",\"env\":[\"PATH=/usr/bin:/bin\"],"
#define TRUE_ARGV "\"argv\":[\"/usr/bin/true\"]"

struct raw { pid_t pid; int fd; };

static bool start(const char *program, struct raw *out)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	out->fd = pair[0];
	out->pid = fork();
	if (out->pid == 0) {
		if ((pair[1] == JAIL_FD ? fcntl(JAIL_FD, F_SETFD, 0) : dup2(pair[1], JAIL_FD)) < 0)
			_exit(126);
		if (dup2(open("/dev/null", O_WRONLY), 2) < 0)
			_exit(126);
		(void)execl(program, "airlock-jail", "--fd", "3", "--lanes", "1", (char *)NULL);
		_exit(127);
	}
	(void)close(pair[1]);
	return out->pid > 0;
}

static void stop(struct raw *r)
{
	(void)close(r->fd);
	(void)waitpid(r->pid, NULL, 0);
}

static bool send_bytes(int fd, const void *bytes, size_t n)
{
	while (n > 0) {
		ssize_t done = send(fd, bytes, n, MSG_NOSIGNAL);

		if (done <= 0)
			return false;
		bytes = (const char *)bytes + done;
		n -= (size_t)done;
	}
	return true;
}

static bool send_frame(int fd, const char *json)
{
	uint32_t n = (uint32_t)strlen(json);

	return send_bytes(fd, &n, sizeof(n)) && send_bytes(fd, json, n);
}

static bool read_bytes(int fd, void *bytes, size_t n)
{
	while (n > 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t got = poll(&p, 1, ANSWER_MS) == 1 ? read(fd, bytes, n) : -1;

		if (got <= 0)
			return false;
		bytes = (char *)bytes + got;
		n -= (size_t)got;
	}
	return true;
}

/* NULL: the jail ended instead. */
static struct doc *answer(int fd)
{
	struct doc *d = NULL;
	struct err err;
	uint32_t n;
	char *text;

	if (!read_bytes(fd, &n, sizeof(n)) || n > ANSWER_BYTES)
		return NULL;
	text = mem_new(n + 1);
	if (read_bytes(fd, text, n))
		(void)!doc_read(slice_of(text, n), ANSWER_BYTES, &d, &err); /* d stays NULL */
	mem_free(text);
	return d;
}

struct counts { int passed, failed; };

static void say(struct counts *c, const char *name, bool ok, const char *why)
{
	if (!ok)
		printf("FAILED frames: %s: %s\n", name, why);
	*(ok ? &c->passed : &c->failed) += 1;
}

/* ---- frames that are JSON, and must be answered with this code ---- */

static const struct { const char *name, *json, *code; } refused[] = {
	{ "a file name that climbs", HEAD LIMITS ",\"files\":[{\"name\":\"../../../../tmp/airlock-frames/x\",\"base64\":\"eA==\"}]," TRUE_ARGV
	  ",\"runs\":[{}]}", "file_name" },
	{ "a file name that climbs later", HEAD LIMITS ",\"files\":[{\"name\":\"a/../../../../../tmp/airlock-frames/x\",\"base64\":\"eA==\"}]," TRUE_ARGV
	  ",\"runs\":[{}]}", "file_name" },
	{ "an absolute file name", HEAD LIMITS ",\"files\":[{\"name\":\"/tmp/airlock-frames/x\",\"base64\":\"eA==\"}]," TRUE_ARGV ",\"runs\":[{}]}",
	  "file_name" },
	{ "a file name of a run that climbs", HEAD LIMITS "," TRUE_ARGV ",\"runs\":[{\"files\":[{\"name\":\"a/../../x\",\"base64\":\"\"}]}]}", "file_name" },
	{ "an empty file name", HEAD LIMITS ",\"files\":[{\"name\":\"\",\"base64\":\"\"}]," TRUE_ARGV ",\"runs\":[{}]}", "file_name" },
	{ "a file that is a folder elsewhere", HEAD LIMITS ",\"files\":[{\"name\":\"a/b\",\"base64\":\"\"},{\"name\":\"a\",\"base64\":\"\"}]," TRUE_ARGV
	  ",\"runs\":[{}]}", "file_name" },
	{ "a file without base64", HEAD LIMITS ",\"files\":[{\"name\":\"a\",\"base64\":\"?\"}]," TRUE_ARGV ",\"runs\":[{}]}", "file_base64" },
	{ "limits that are not there", HEAD TRUE_ARGV ",\"runs\":[{}]}", "limits" },
	{ "limits without bounds", HEAD "\"limits\":{\"wall_ms\":9223372036854775807,\"cpu_ms\":1,\"memory_bytes\":1,\"pids\":1,\"disk_bytes\":1,"
	  "\"output_bytes\":1}," TRUE_ARGV ",\"runs\":[{}]}", "limits" },
	{ "output without bounds", HEAD "\"limits\":{\"wall_ms\":1,\"cpu_ms\":1,\"memory_bytes\":1,\"pids\":1,\"disk_bytes\":1,"
	  "\"output_bytes\":9223372036854775807}," TRUE_ARGV ",\"runs\":[{}]}", "limits" },
	{ "a negative limit", HEAD "\"limits\":{\"wall_ms\":1,\"cpu_ms\":1,\"memory_bytes\":1,\"pids\":-4,\"disk_bytes\":1,\"output_bytes\":1},"
	  TRUE_ARGV ",\"runs\":[{}]}", "limits" },
	{ "an unknown profile", "{\"job\":7,\"profile\":\"none\",\"env\":[]," LIMITS "," TRUE_ARGV ",\"runs\":[{}]}", "profile" },
	{ "no argv", HEAD LIMITS ",\"runs\":[{}]}", "argv" },
	{ "stdin without base64", HEAD LIMITS "," TRUE_ARGV ",\"runs\":[{\"stdin\":\"*\"}]}", "stdin_base64" },
};

static void check_refused(struct raw *r, struct counts *c)
{
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		AUTO_DOC struct doc *d = send_frame(r->fd, refused[i].json) ? answer(r->fd) : NULL;

		say(c, refused[i].name, slice_is(doc_get_text(d, "failed"), refused[i].code), d ? doc_get_text(d, "failed").ptr : "no answer");
	}
}

/* A list of n times `item`. */
static void check_count(struct raw *r, struct counts *c, const char *list, const char *item, int n)
{
	AUTO_BUF struct buf frame = BUF_INIT(ANSWER_BYTES);
	struct doc *d;

	(void)!buf_printf(&frame, HEAD LIMITS ",\"%s\":[", list); /* below its ceiling, all of it */
	for (int i = 0; i < n; i++)
		(void)!buf_printf(&frame, "%s%s", i ? "," : "", item);
	(void)!buf_printf(&frame, "]%s%s}", strcmp(list, "argv") == 0 ? "" : "," TRUE_ARGV, strcmp(list, "runs") == 0 ? "" : ",\"runs\":[{}]");
	d = send_frame(r->fd, frame.data) ? answer(r->fd) : NULL;
	say(c, list, slice_is(doc_get_text(d, "failed"), "counts"), "a list beyond its ceiling was not refused");
	doc_free(d);
}

static void check_alive(struct raw *r, struct counts *c)
{
	AUTO_DOC struct doc *d = send_frame(r->fd, HEAD LIMITS "," TRUE_ARGV ",\"outputs\":[\"../../x\",\"/etc/passwd\",\"\"],\"file_bytes\":99,\"runs\":[{}]}") ?
	                                 answer(r->fd) :
	                                 NULL;

	say(c, "a good frame after bad ones", doc_get_int(doc_at(doc_get(d, "runs"), 0), "exit_code", -1) == 0, "it did not run");
	say(c, "outputs outside of the box", doc_count(doc_get(d, "files")) == 0 && doc_count(doc_get(d, "files_refused")) == 3,
	    "they were not all left out");
}

/* ---- bytes that are no frame: the jail ends, at once and by itself ---- */

static void check_end(const char *program, struct counts *c, const char *name, const void *bytes, size_t n)
{
	struct raw r;
	struct doc *d;

	if (!start(program, &r)) {
		say(c, name, false, "the jail did not start");
		return;
	}
	(void)send_bytes(r.fd, bytes, n);
	(void)shutdown(r.fd, SHUT_WR);
	d = answer(r.fd);
	say(c, name, d == NULL, "it was answered");
	doc_free(d);
	stop(&r);
}

static void check_ends(const char *program, struct counts *c)
{
	static const char half[] = "\x40\0\0\0{\"job\":", zero[] = "\0\0\0\0", garbage[] = "\x4\0\0\0\xff\xfe{}";
	static const char nul[] = "\x14\0\0\0{\"job\":1,\"profi\0le\"}";
	uint32_t lie = UINT32_MAX;
	AUTO_BUF struct buf deep = BUF_INIT(8192);
	uint32_t n = 4000;

	check_end(program, c, "a length that lies", &lie, sizeof(lie));
	check_end(program, c, "a frame cut short", half, sizeof(half) - 1);
	check_end(program, c, "half a length", half, 2);
	check_end(program, c, "an empty frame", zero, 4);
	check_end(program, c, "a frame that is no JSON", garbage, sizeof(garbage) - 1);
	check_end(program, c, "a NUL in a frame", nul, sizeof(nul) - 1);
	(void)!buf_add(&deep, &n, sizeof(n)); /* below its ceiling, all of it */
	for (uint32_t i = 0; i < n; i++)
		(void)!buf_add(&deep, "[", 1);
	check_end(program, c, "nesting without end", deep.data, deep.len);
}

/* ---- killed in the middle ---- */

/* Is there a sleep under the first lane's id? */
static bool sleeps(void)
{
	bool seen = false;
	DIR *d = opendir("/proc");
	struct dirent *e;

	while (d && !seen && (e = readdir(d))) {
		char path[300], name[32] = "";
		struct stat st;
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/%.20s", e->d_name);
		if (stat(path, &st) < 0 || st.st_uid != 0x61000000)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%.20s/comm", e->d_name);
		f = fopen(path, "re");
		seen = f && fgets(name, sizeof(name), f) && strncmp(name, "sleep", 5) == 0;
		if (f)
			(void)fclose(f);
	}
	if (d)
		(void)closedir(d);
	return seen;
}

static void check_killed(const char *program, struct counts *c, bool (*host_is_clean)(void))
{
	struct raw r;
	bool clean = false;

	if (!start(program, &r)) {
		say(c, "killed", false, "the jail did not start");
		return;
	}
	/* The first answer tells that it works; the second order leaves at once and is under way. */
	(void)send_frame(r.fd, HEAD LIMITS "," TRUE_ARGV ",\"runs\":[{}]}");
	doc_free(answer(r.fd));
	(void)send_frame(r.fd, HEAD LIMITS ",\"argv\":[\"/usr/bin/sleep\",\"60\"],\"runs\":[{}]}");
	for (int i = 0; i < 500 && !sleeps(); i++)
		(void)usleep(10000); /* until its program is seen */
	(void)kill(r.pid, SIGKILL);
	stop(&r);
	for (int i = 0; i < 500 && !clean; i++) {
		clean = host_is_clean();
		if (!clean)
			(void)usleep(10000); /* between two looks; the kernel ends what hung on it */
	}
	say(c, "a killed jail takes its program and its mounts with it", clean, "something is left");
}

void frames_check(const char *program, bool (*host_is_clean)(void), int *passed, int *failed)
{
	struct counts c = { 0 };
	struct stat st;
	struct raw r;

	if (start(program, &r)) {
		check_refused(&r, &c);
		check_count(&r, &c, "runs", "{}", 100000);
		check_count(&r, &c, "files", "{\"name\":\"a\",\"base64\":\"\"}", 5000);
		check_count(&r, &c, "outputs", "\"a\"", 5000);
		check_count(&r, &c, "argv", "\"a\"", 5000);
		check_alive(&r, &c);
		stop(&r);
	} else {
		say(&c, "start", false, "the jail did not start");
	}
	check_ends(program, &c);
	check_killed(program, &c, host_is_clean);
	say(&c, "nothing was made outside of the box", lstat("/tmp/airlock-frames", &st) < 0 && errno == ENOENT, "there is /tmp/airlock-frames");
	*passed += c.passed;
	*failed += c.failed;
}
