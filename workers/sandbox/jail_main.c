/*
 * airlock-jail: runs programs.  Started by airlock-sandbox (or by a test) with one socket and a number of lanes, before that program has
 * a thread or a connection; no network, no broker, no secret, lib/base only.
 *
 *   airlock-jail --fd N --lanes N      serve jobs on descriptor N until it closes
 *   airlock-jail --check               prove each layer on this machine, print one line a layer, exit 0 or 3
 *   airlock-jail --explain             the same, then what the sandbox allows, shows and limits
 *   ... --oci RUNTIME --rootfs FOLDER  in containers of that runtime; showing that folder's /usr and /etc instead of the host's
 *
 * Rights it keeps, and why: CAP_SYS_ADMIN (namespaces, mounts), CAP_NET_ADMIN (loopback of a lane's empty network), CAP_SETUID and
 * CAP_SETGID (id maps), CAP_KILL (jobs run under other ids), CAP_CHOWN, CAP_DAC_OVERRIDE and CAP_FOWNER (files in a box), CAP_SYS_RESOURCE (OOM score),
 * CAP_SYS_PTRACE (reading id maps of a process that is not dumpable).  As root it drops every other capability; not as root it says what is missing.
 */
#include "jail_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/slice.h"

#include "jail_oci.h"
#include "jail_wire.h"

enum { EXIT_ENDED = 0, EXIT_USE = 1, EXIT_BROKEN = 2, EXIT_UNSAFE = 3 };

struct slot {
	int socket; /* to the lane's supervisor */
	pid_t pid;
	bool busy;
	int64_t job;
	int64_t given_us; /* when that job was */
	uint64_t waits; /* what it made ready behind its last job: a hash of that argv, or WAITS_BLANK; 0: nothing */
};

static int complain(const struct err *err, int exit_code)
{
	fprintf(stderr, "airlock-jail: %s: %s\n", err->code, err->text);
	return exit_code;
}

/* ---- rights ---- */

static enum rc keep_rights(struct err *err)
{
	static const cap_value_t kept[] = { CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SETUID, CAP_SETGID, CAP_KILL, CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER,
		                            CAP_SYS_RESOURCE, CAP_SYS_PTRACE };
	cap_t had = cap_get_proc(), caps = cap_init();
	int rc = caps && had ? 0 : -1;

	if (geteuid() != 0) {
		(void)cap_free(had);
		(void)cap_free(caps);
		return err_set(err, RC_BROKEN, "not_root", "the jail must be started as root: namespaces, mounts and cgroups need it; it runs "
		                                           "every program under an id of its own");
	}
	/* Of these what we have: containers often lack one; the layer that misses it says so. */
	for (size_t i = 0; rc == 0 && i < COUNT_OF(kept); i++) {
		cap_flag_value_t has = CAP_CLEAR;

		rc = cap_get_flag(had, kept[i], CAP_PERMITTED, &has);
		if (rc == 0 && has == CAP_SET)
			rc = cap_set_flag(caps, CAP_PERMITTED, 1, &kept[i], CAP_SET) | cap_set_flag(caps, CAP_EFFECTIVE, 1, &kept[i], CAP_SET);
	}
	if (rc == 0)
		rc = cap_set_proc(caps);
	if (rc != 0)
		(void)err_set(err, RC_BROKEN, "capabilities", "cannot reduce capabilities: %s", strerror(errno));
	(void)cap_free(had);
	(void)cap_free(caps);
	return rc == 0 ? RC_OK : RC_BROKEN;
}

/* ---- a lane's supervisor ---- */

static void answer_failure(int64_t id, const struct err *why, struct buf *out)
{
	AUTO_DRAFT struct draft *d = draft_new_object();

	buf_cut(out, 0);
	draft_set_int(d, "job", id);
	draft_set_text(d, "failed", slice_text(why->code));
	draft_set_text(d, "why", slice_text(why->text));
	(void)!draft_write(d, out); /* three short members */
}

static enum rc next_frame(struct jail_lane *l, struct buf *frame, struct err *err)
{
	jail_wait(l);
	return wire_read_frame(l->command_fd, frame, err);
}

static void NORETURN serve_lane(const struct jail_place *place, int index, int socket)
{
	struct buf frame = BUF_INIT(JAIL_FRAME_BYTES), answer = BUF_INIT(JAIL_FRAME_BYTES);
	struct jail_lane lane;
	struct err err = { 0 };
	enum rc rc;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	rc = jail_lane_open(&lane, place, index, &err);
	lane.command_fd = socket;
	while (rc == RC_OK && next_frame(&lane, &frame, &err) == RC_OK) {
		AUTO_DOC struct doc *job = NULL;
		struct err why = { 0 };
		int64_t id;

		rc = doc_read(buf_slice(&frame), JAIL_FRAME_BYTES, &job, &err);
		id = doc_get_int(job, "job", 0);
		if (rc != RC_OK || doc_get(job, "stop")) {
			continue; /* a stop for a job that had ended meanwhile */
		}
		buf_cut(&answer, 0);
		if (jail_job(&lane, job, &answer, &why) != RC_OK)
			answer_failure(id, &why, &answer);
		rc = wire_write_frame(socket, buf_slice(&answer), &err);
		jail_settle(&lane);
		if (rc == RC_OK && lane.broken)
			rc = err_set(&err, RC_BROKEN, "lane", "a job could not be ended: the jail ends, and with it whatever is left of the job");
		/* The answer is on its way: now there is time for what the next job may begin with. */
		if (rc == RC_OK && lane.next)
			jail_prepare(&lane, lane.next);
	}
	jail_lane_close(&lane);
	_exit(rc == RC_OK || strcmp(err.code, "closed") == 0 ? EXIT_ENDED : complain(&err, EXIT_BROKEN));
}

static enum rc open_lanes(const struct jail_place *place, struct slot *slots, int count, int worker, struct err *err)
{
	for (int i = 0; i < count; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			return err_set(err, RC_BROKEN, "socketpair", "%s", strerror(errno));
		slots[i].pid = fork();
		if (slots[i].pid < 0)
			return err_set(err, RC_BROKEN, "fork", "%s", strerror(errno));
		if (slots[i].pid == 0) {
			(void)close(worker);
			(void)close(pair[0]);
			for (int k = 0; k < i; k++)
				(void)close(slots[k].socket);
			serve_lane(place, i, pair[1]);
		}
		(void)close(pair[1]);
		slots[i].socket = pair[0];
	}
	return RC_OK;
}

/* ---- between worker and lanes ---- */

enum { WAITS_BLANK = 1 };

/* The argv of the interpreter that could take this job, and that its lane starts behind it; WAITS_BLANK: there is none such. */
static uint64_t warm_hash(const struct doc *job)
{
	const struct doc *first = doc_at(doc_get(job, "runs"), 0);
	const struct doc *argv = doc_get(first, "argv") ? doc_get(first, "warm") : doc_get(job, "warm");
	/* One that forks is told the last word of all when it does. */
	size_t count = doc_count(argv) - (argv && doc_get_bool(job, "warm_fork", false));
	AUTO_BUF struct buf text = BUF_INIT(JAIL_FRAME_BYTES);
	struct sha256 sum;
	uint64_t hash = WAITS_BLANK;

	if (!argv || doc_get(job, "compile"))
		return hash;
	for (size_t i = 0; i < count; i++) {
		struct slice word = doc_text(doc_at(argv, i));

		if (buf_add_slice(&text, word) != RC_OK || buf_add(&text, "", 1) != RC_OK)
			return hash;
	}
	sum = digest_sha256(buf_slice(&text));
	memcpy(&hash, sum.bytes, sizeof(hash));
	return hash;
}

/* The idle lane where the right one waits, else one where none does, else where only little is lost, else where one has waited longest, so that
 * languages do not end each other's; NULL: all are busy. */
static struct slot *idle_lane(struct slot *slots, int count, uint64_t waits)
{
	struct slot *best = NULL;
	int best_score = -1;

	for (int i = 0; i < count; i++) {
		int score = slots[i].waits == waits ? 3 : slots[i].waits == 0 ? 2 : slots[i].waits == WAITS_BLANK ? 1 : 0;

		if (!slots[i].busy && (score > best_score || (score == best_score && slots[i].given_us < best->given_us))) {
			best = &slots[i];
			best_score = score;
		}
	}
	return best;
}

static enum rc give(struct slot *slots, int count, const struct doc *job, struct slice frame, struct err *err)
{
	uint64_t waits = warm_hash(job);
	struct slot *s = idle_lane(slots, count, waits);

	if (!s)
		return err_set(err, RC_BROKEN, "lanes", "more jobs than lanes");
	s->busy = true;
	s->job = doc_get_int(job, "job", 0);
	s->waits = waits;
	s->given_us = clock_mono_us();
	return wire_write_frame(s->socket, frame, err);
}

static enum rc from_worker(int worker, struct slot *slots, int count, struct buf *frame, struct err *err)
{
	AUTO_DOC struct doc *d = NULL;
	enum rc rc = wire_read_frame(worker, frame, err);
	int64_t id;

	if (rc == RC_OK)
		rc = doc_read(buf_slice(frame), JAIL_FRAME_BYTES, &d, err);
	if (rc != RC_OK)
		return rc;
	if (!doc_get(d, "stop"))
		return give(slots, count, d, buf_slice(frame), err);
	id = doc_get_int(d, "job", 0);
	for (int i = 0; i < count; i++) {
		if (slots[i].busy && slots[i].job == id)
			return wire_write_frame(slots[i].socket, buf_slice(frame), err);
	}
	return RC_OK; /* it has ended meanwhile */
}

static enum rc from_lane(int worker, struct slot *slot, struct buf *frame, struct err *err)
{
	enum rc rc = wire_read_frame(slot->socket, frame, err);

	if (rc != RC_OK)
		return err_set(err, RC_BROKEN, "lane", "a lane ended");
	slot->busy = false;
	return wire_write_frame(worker, buf_slice(frame), err);
}

static enum rc serve(int worker, struct slot *slots, int count, struct err *err)
{
	AUTO_BUF struct buf frame = BUF_INIT(JAIL_FRAME_BYTES);
	struct pollfd p[JAIL_LANES + 1];
	enum rc rc = RC_OK;

	while (rc == RC_OK) {
		p[0] = (struct pollfd){ .fd = worker, .events = POLLIN };
		for (int i = 0; i < count; i++)
			p[i + 1] = (struct pollfd){ .fd = slots[i].socket, .events = POLLIN };
		if (poll(p, (nfds_t)count + 1, -1) < 0 && errno != EINTR)
			return err_set(err, RC_BROKEN, "poll", "%s", strerror(errno));
		for (int i = 0; rc == RC_OK && i < count; i++) {
			if (p[i + 1].revents)
				rc = from_lane(worker, &slots[i], &frame, err);
		}
		if (rc == RC_OK && p[0].revents)
			rc = from_worker(worker, slots, count, &frame, err);
	}
	return rc;
}

static void end_lanes(struct slot *slots, int count)
{
	/* A closed socket ends an idle lane at once; one that runs a job sees it as "stop". */
	for (int i = 0; i < count; i++) {
		if (slots[i].socket > 0)
			(void)close(slots[i].socket);
	}
	for (int i = 0; i < count; i++) {
		if (slots[i].pid > 0)
			(void)waitpid(slots[i].pid, NULL, 0);
	}
}

static int check(const struct jail_place *place, bool and_explain)
{
	AUTO_BUF struct buf report = BUF_INIT(65536);
	struct err err = { 0 };
	struct jail_lane lane;
	enum rc rc = jail_lane_open(&lane, place, 0, &err);

	if (rc == RC_OK)
		rc = jail_check(&lane, &report, &err);
	if (rc == RC_OK && and_explain)
		rc = jail_explain(&lane, &report);
	jail_lane_close(&lane);
	if (report.len > 0)
		(void)!write(1, report.data, report.len); /* a report nobody reads */
	return rc == RC_OK ? EXIT_ENDED : complain(&err, EXIT_UNSAFE);
}

static int run(const struct jail_place *place, int worker, int count)
{
	struct slot *slots = mem_new_array((size_t)count, sizeof(*slots));
	struct err err = { 0 };
	enum rc rc = open_lanes(place, slots, count, worker, &err);

	if (rc == RC_OK)
		rc = serve(worker, slots, count, &err);
	end_lanes(slots, count);
	mem_free(slots);
	return strcmp(err.code, "closed") == 0 ? EXIT_ENDED : complain(&err, EXIT_BROKEN);
}

int main(int argc, char **argv)
{
	int64_t fd = -1, lanes = 0;
	bool only_check = false, explain = false;
	const char *runtime = NULL, *rootfs = NULL;
	struct jail_place place;
	struct jail_oci oci;
	struct err err = { 0 };
	enum rc rc = RC_OK;
	int code;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--fd") == 0 && i + 1 < argc)
			rc = slice_int(slice_text(argv[++i]), 0, 1024, &fd);
		else if (strcmp(argv[i], "--lanes") == 0 && i + 1 < argc)
			rc = slice_int(slice_text(argv[++i]), 1, JAIL_LANES, &lanes);
		else if (strcmp(argv[i], "--oci") == 0 && i + 1 < argc)
			runtime = argv[++i];
		else if (strcmp(argv[i], "--rootfs") == 0 && i + 1 < argc)
			rootfs = argv[++i];
		else if (strcmp(argv[i], "--check") == 0)
			only_check = true;
		else if (strcmp(argv[i], "--explain") == 0)
			only_check = explain = true;
		else if (strcmp(argv[i], "--version") == 0)
			return printf("airlock-jail %s\n", AIRLOCK_VERSION) < 0;
		else
			rc = RC_NEVER;
		if (rc != RC_OK)
			break;
	}
	if (rc != RC_OK || (!only_check && (fd < 0 || lanes == 0))) {
		fprintf(stderr, "Use: airlock-jail --fd N --lanes N | --check | --explain | --version  [--oci RUNTIME] [--rootfs FOLDER]\n"
		                "Runs programs for airlock-sandbox, which starts it; --check tells what this machine can isolate.\n");
		return EXIT_USE;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (!only_check && fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
		return EXIT_USE;
	rc = keep_rights(&err);
	if (rc == RC_OK)
		rc = jail_syscalls_open(&err);
	if (rc == RC_OK && runtime)
		rc = jail_oci_find(runtime, &oci, &err);
	if (rc == RC_OK)
		rc = jail_place_open(&place, rootfs, runtime != NULL, &err);
	if (rc == RC_OK && runtime) {
		place.oci = &oci;
		rc = jail_oci_open(&place, &err);
	}
	if (rc == RC_OK && !runtime && jail_zygote_open(&place, &err) != RC_OK)
		(void)complain(&err, 0); /* slower, and as safe */
	if (rc != RC_OK)
		return complain(&err, EXIT_UNSAFE);
	code = only_check ? check(&place, explain) : run(&place, (int)fd, (int)lanes);
	jail_place_close(&place);
	return code;
}
