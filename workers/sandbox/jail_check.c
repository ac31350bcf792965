/*
 * jail_check: each layer proven on this machine by a program that tries it, through the same way as any job.
 * The programs are lines of shell, because /bin/sh is what every runtime's root has.
 */
#include "jail_inside.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/mem.h"

#include "jail_oci.h"

enum proof { PROOF_EXIT, PROOF_MEMORY, PROOF_PIDS, PROOF_WALL, PROOF_CPU, PROOF_OUTPUT };

struct probe {
	const char *layer;
	bool (*there)(void); /* NULL: every kernel that we start on must have it */
	enum proof proof;   /* what shows that the layer holds: the script's exit code 0, or the kernel's or our own count */
	const char *script;
	int64_t wall_ms;    /* 0: PATIENCE_MS, so that a machine at its limit is not taken for one without the layer */
};

enum { PATIENCE_MS = 60000 };

static bool has_landlock(void)
{
	return jail_landlock_abi() > 0;
}

static const struct probe probes[] = {
	{ "user namespace", NULL, PROOF_EXIT, "test \"$(id -u)\" = 1000 && ! cat /proc/1/environ >/dev/null 2>&1", 0 },
	{ "pid namespace", NULL, PROOF_EXIT, "test $$ -lt 100", 0 },
	{ "root file system", NULL, PROOF_EXIT,
	  "test ! -e /home && test ! -e /root && test ! -e /var && ! (: > /usr/x) 2>/dev/null && ! (: > /x) 2>/dev/null", 0 },
	{ "box", NULL, PROOF_EXIT, "echo hello > file && test \"$(cat file)\" = hello && test \"$(pwd)\" = /work && : > /tmp/x", 0 },
	{ "host name", NULL, PROOF_EXIT, "test \"$(uname -n)\" = sandbox", 0 },
	{ "capabilities", NULL, PROOF_EXIT,
	  "grep -q '^CapEff:[[:space:]]*0*$' /proc/self/status && grep -q '^CapBnd:[[:space:]]*0*$' /proc/self/status", 0 },
	{ "no_new_privs", NULL, PROOF_EXIT, "grep -q '^NoNewPrivs:[[:space:]]*1' /proc/self/status", 0 },
	{ "system call filter", NULL, PROOF_EXIT, "grep -q '^Seccomp:[[:space:]]*2' /proc/self/status && ! mount -t tmpfs none /tmp 2>/dev/null", 0 },
	{ "network", NULL, PROOF_EXIT, "test \"$(grep -c : /proc/self/net/dev)\" = 1 && grep -q lo: /proc/self/net/dev && "
	  "test \"$(grep -c . /proc/self/net/route)\" -le 1", 0 },
	{ "Landlock", has_landlock, PROOF_EXIT, "! (echo x > /proc/self/comm) 2>/dev/null && echo x > /tmp/a && mv /tmp/a /tmp/b", 0 },
	{ "time namespace", jail_has_time_namespaces, PROOF_EXIT, "grep -q '^boottime *-[1-9]' /proc/self/timens_offsets", 0 },
	{ "disk limit", NULL, PROOF_EXIT, "head -c 700000 /dev/zero > a && ! head -c 700000 /dev/zero > b 2>/dev/null", 0 },
	{ "file size limit", NULL, PROOF_EXIT, "! (head -c 1100000 /dev/zero > a) 2>/dev/null", 0 },
	{ "memory limit", NULL, PROOF_MEMORY, "x=0123456789abcdef; while :; do x=$x$x; done", 0 },
	{ "process limit", NULL, PROOF_PIDS, "i=0; while [ $i -lt 40 ]; do sleep 60 & i=$((i + 1)); done", 0 },
	{ "wall clock", NULL, PROOF_WALL, "sleep 60", 50 },
	{ "processor time", NULL, PROOF_CPU, "while :; do :; done", 0 },
	{ "output limit", NULL, PROOF_OUTPUT, "cat /dev/zero", 0 },
};

static void add_word(struct jail_spawn *s, uint32_t *count, const char *word)
{
	memcpy(s->text + s->text_bytes, word, strlen(word) + 1); /* a few of ours: there is room */
	s->text_bytes += (uint32_t)strlen(word) + 1;
	(*count)++;
}

static void fill(struct jail_spawn *s, const struct jail_lane *l, const char *script)
{
	*s = (struct jail_spawn){ .uid = l->uid, .profile = PROFILE_STRICT };
	s->limits = (struct jail_limits){ .wall_ms = PATIENCE_MS, .cpu_ms = 10000, .memory_bytes = 64 * 1024 * 1024, .pids = 16,
		                          .disk_bytes = 1024 * 1024, .output_bytes = 4096 };
	memcpy(s->box, l->box, sizeof(s->box));
	add_word(s, &s->argc, "/bin/sh");
	add_word(s, &s->argc, "-c");
	add_word(s, &s->argc, script);
	add_word(s, &s->envc, "PATH=/usr/bin:/bin");
}

static bool holds(const struct probe *p, const struct jail_result *r)
{
	switch (p->proof) {
	case PROOF_MEMORY:
		return r->peaks.oom_kills > 0;
	case PROOF_PIDS:
		return r->peaks.pids_refused > 0;
	case PROOF_WALL:
		return r->timed_out;
	case PROOF_CPU:
		return r->cpu_out || (WIFSIGNALED(r->end.status) && WTERMSIG(r->end.status) == SIGXCPU);
	case PROOF_OUTPUT:
		return r->output_out;
	case PROOF_EXIT:
		break;
	}
	return WIFEXITED(r->end.status) && WEXITSTATUS(r->end.status) == 0;
}

/* What a container does without, or cannot show: gVisor's kernel is its own, and says other things of itself. */
static bool is_elsewhere(const struct jail_lane *l, const struct probe *p)
{
	static const char *const linux_only[] = { "user namespace", "capabilities", "no_new_privs", "system call filter", "network", "process limit" };

	if (l->oci && p->there)
		return true;
	for (size_t i = 0; l->oci && l->oci->gvisor && i < COUNT_OF(linux_only); i++) {
		if (strcmp(linux_only[i], p->layer) == 0)
			return true;
	}
	return false;
}

static enum rc try_probe(struct jail_lane *l, const struct probe *p, struct buf *report, struct err *err)
{
	struct jail_spawn *s = mem_new(sizeof(*s));
	struct jail_result r = { 0 };
	bool held;
	enum rc rc;

	if (is_elsewhere(l, p) || (p->there && !p->there())) {
		mem_free(s);
		return buf_printf(report, "%-20s not in this %s\n", p->layer, l->oci ? "runtime" : "kernel");
	}
	fill(s, l, p->script);
	if (p->wall_ms > 0)
		s->limits.wall_ms = p->wall_ms;
	if (p->proof == PROOF_CPU)
		s->limits.cpu_ms = 100;
	rc = jail_box_mount(l->box, s->limits.disk_bytes, l->uid, err);
	if (rc == RC_OK)
		rc = jail_run(l, s, SLICE_EMPTY, &r, err);
	jail_settle(l);
	mem_free(s);
	if (rc == RC_OK && r.end.stage != 0)
		rc = err_set(err, RC_BROKEN, "jail_recipe", "%s: %s", jail_stage_name(r.end.stage), strerror(r.end.error));
	if (rc == RC_OK) {
		held = holds(p, &r);
		rc = buf_printf(report, "%-20s %s\n", p->layer, held ? "holds" : "MISSING");
		if (rc == RC_OK && !held)
			rc = err_set(err, RC_BROKEN, "layer_missing", "the layer '%s' does not hold on this machine", p->layer);
	}
	jail_result_release(&r);
	return rc;
}

enum rc jail_check(struct jail_lane *l, struct buf *report, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(probes); i++)
		rc = try_probe(l, &probes[i], report, err);
	return rc;
}
