/*
 * jail_inside: what the files jail_*.c share, and the frames that cross the one socket.
 *
 *   worker ──socket──▶ jail_main ──socketpair──▶ lane supervisor ──socketpair──▶ spawner ──clone──▶ init (pid 1) ──fork──▶ job
 *                      (one process)             (one a lane, outside the        (one a lane, lives in    (our code, not     (the foreign
 *                                                 job's cgroup; root)            the job's cgroup)       dumpable)         program)
 *
 * Of a zygote (zygote/fork.c) init is airlock-init as soon as the job is forked.
 *
 * A lane keeps its cgroup, its empty network namespace and its two processes; a job gets fresh user, pid, mount, ipc, uts, cgroup and
 * time namespaces and a fresh tmpfs.  An idle lane may hold one process that was started ahead, in all of these, and waits for its one job: an
 * interpreter, behind the filter already, or one of ours that has yet to be told what it becomes.  Nobody is ever moved between cgroups on the way of a job: the spawner was put into the lane's cgroup
 * once, and what it clones is born there.  Every process dies with its parent; the jail ends when its socket does.
 *
 * Frames: 4 bytes length (native), then JSON.  Worker -> jail: struct job below as JSON; jail -> worker: results as JSON.
 * jail_* links lib/base only.
 */
#ifndef AIRLOCK_JAIL_INSIDE_H
#define AIRLOCK_JAIL_INSIDE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/draft.h"

#include "jail_watch.h"

enum {
	JAIL_FRAME_BYTES = 16 * 1024 * 1024, /* one job or one result */
	JAIL_LANES = 64,
	JAIL_ARGS = 64,
	JAIL_ENV = 32,
	JAIL_FILES = 64,
	JAIL_RUNS = 128,
	JAIL_REFUSED = 32,         /* kinds of refused call that an outcome names; the last one stands for all others */
	JAIL_REFUSED_CALLS = 20000, /* a program that goes on asking is ended: each answer costs the supervisor, outside of the job's account */
	JAIL_CONTROLLERS = 4,      /* cgroup v1: memory, pids, cpu, cpuacct */
	JAIL_HOMES = 16,           /* these, and where an OCI runtime wants more of them */
	JAIL_PATH_BYTES = 512,
	JAIL_GATE_FD = 200,        /* below the job's RLIMIT_NOFILE, above every descriptor of ours */
	JAIL_PRODUCT_BYTES = 64 * 1024 * 1024,
	/* What no order may pass, whoever wrote it: sums of these never overflow. */
	JAIL_WALL_MS = 10 * 60 * 1000,
	JAIL_PIDS = 4096,
	JAIL_OUTPUT_BYTES = 2 * 1024 * 1024, /* one stream, or all files: an answer stays below a frame */
};
#define JAIL_MEMORY_BYTES (64LL * 1024 * 1024 * 1024)
#define JAIL_RUN_DIR "/run/airlock-jail"
#define JAIL_BASE JAIL_RUN_DIR "/base" /* sandbox.rootfs, where there is one */
#define JAIL_CACHE_DIR JAIL_RUN_DIR "/cache" /* jail_cache.c's; no job sees it */
#define JAIL_BOX "/work"
#define JAIL_CONTAINER "job"           /* a container's control group, below its lane's */
#define JAIL_INSIDE "/.airlock-inside" /* in a container: what is pid 1 there */

/* ---- one process to run, once ---- */

struct jail_limits {
	int64_t wall_ms, cpu_ms, memory_bytes, pids, disk_bytes, output_bytes, file_bytes;
	int64_t address_bytes; /* RLIMIT_AS; 0: none (node reserves far more than it uses) */
};

/* What the spawner is told; one datagram.  argv and environment as NUL-separated strings in text. */
struct jail_spawn {
	uint32_t argc, envc;
	uint32_t uid;          /* host id that the job's only id maps to */
	uint32_t profile;      /* enum jail_profile */
	uint32_t gate;         /* 1: it waits at JAIL_GATE_FD for its last word before it does anything for the job */
	uint32_t warm;         /* enum jail_warm */
	uint32_t guard;        /* 1: no /proc, so that processes of this job have no way into one another */
	struct jail_limits limits;
	char box[128];         /* host path of the lane's box */
	uint32_t text_bytes;
	char text[16 * 1024];  /* sent as far as it is used; none of it to a zygote, which has its argv */
};
#define JAIL_SPAWN_BYTES offsetof(struct jail_spawn, text)

enum jail_profile { PROFILE_STRICT, PROFILE_JIT, PROFILE_COUNT };

enum jail_warm {
	WARM_EXEC,             /* argv is started */
	WARM_FORK,             /* a fork of the lane's zygote; argv but for its last word is how that was started */
	WARM_ZYGOTE,           /* argv is started as that zygote */
	WARM_BLANK,            /* a place for any WARM_EXEC of its profile and guard: everything is given away, the order itself comes through the gate */
};

/* What whoever cloned answers to struct jail_spawn, a pidfd beside it where there is a process; "R" follows when it is reaped. */
struct jail_born { int32_t error; pid_t pid; };
enum { SPAWN_FDS = 6 };    /* what comes with it: stdin stdout stderr report listener-socket gate */

/* What a zygote finds open when it starts; airlock-zygote.so takes them before the interpreter's first line. */
enum {
	ZYGOTE_SOCKET_FD = 201, /* orders as the spawner's */
	ZYGOTE_CODE_FD = 202,   /* airlock-zygote.so itself */
	ZYGOTE_FILTER_FD = 203, /* one a profile */
	ZYGOTE_INIT_FD = ZYGOTE_FILTER_FD + PROFILE_COUNT, /* airlock-init */
};
#define ZYGOTE_FAILED "zygote" /* err->code where a zygote could not fork, or is gone with its job: a cold start is as good */
#define ZYGOTE_READY "z" /* it says so once, before its first order */

/* ---- jail_syscalls.c ---- */

/* Compile every profile once; RC_BROKEN names what is missing. */
MUSTCHECK enum rc jail_syscalls_open(struct err *err);
/* How a listener comes to the supervisor: itself, or a socket that will bring it. */
#define JAIL_LISTENER "L"
#define JAIL_LETTER "C"
struct jail_refused {
	char name[32];
	char argument[48];
	int64_t count;
	bool hard;             /* a call that no innocent program makes */
};
struct jail_refusals {
	struct jail_refused list[JAIL_REFUSED];
	size_t count;
	int64_t calls;         /* in all */
};
void jail_syscalls_listen(int listener); /* a new one, before its first call */
/* Answer the call that waits at the listener, which is readable; note it.  Supervisor. */
void jail_syscalls_answer(int listener, struct jail_refusals *r);
struct jail_rule {
	const char *name;
	unsigned argument;
	uint64_t mask, value;  /* mask 0: all of it */
};
struct jail_calls {
	const char *const *allowed; /* always */
	size_t allowed_count;
	const struct jail_rule *rules; /* where one of these holds */
	size_t rule_count;
};
void jail_syscalls_tables(struct jail_calls *out); /* static */
bool jail_syscalls_name(int nr, char *out, size_t max, bool *hard); /* false: no such call, or no such room */

/* ---- jail_filter.c ---- */

int jail_filter_take(enum jail_profile p, int fd); /* sealed memory with its bytes; ours from here on; 0 or -1 with errno */
int jail_filter_fd(enum jail_profile p);
/* In the job, last before the program: return the listener's descriptor, -1 with errno. */
int jail_filter_install(enum jail_profile p);

/* ---- jail_place.c: mounts and control groups that end with the jail ---- */

struct jail_oci;
struct jail_place {
	bool v2;
	const char *base;      /* where the tree that is shown begins: JAIL_BASE, or "", the host's own */
	const struct jail_oci *oci; /* NULL: we make the isolation ourselves.  Borrowed. */
	int zygote_fd, init_fd; /* airlock-zygote.so and airlock-init, in memory; -1: there are none, and no interpreter forks */
	char homes[JAIL_HOMES][JAIL_PATH_BYTES / 2]; /* one a controller on v1, the first alone on v2; empty: not there */
	int locks[JAIL_HOMES]; /* shared with every process of the jail; -1: none */
};
/* Leave the host's mount namespace, take the homes, remove those of killed jails.  Once, before any lane.  rootfs: a folder to show
 * instead of the host's, or NULL.  all: homes below every controller that the machine has, for a runtime that uses them. */
MUSTCHECK enum rc jail_place_open(struct jail_place *p, const char *rootfs, bool all, struct err *err);
void jail_place_close(struct jail_place *p);

/* ---- jail_limits.c: cgroup v1, v2 or hybrid, and rlimits ---- */

enum jail_cgroup_file { JAIL_MEMORY_LIMIT, JAIL_MEMORY_PEAK, JAIL_MEMORY_NOW, JAIL_MEMORY_KILLS, JAIL_PIDS_LIMIT, JAIL_PIDS_PEAK, JAIL_PIDS_NOW, JAIL_PIDS_REFUSED,
	JAIL_CPU, JAIL_CGROUP_FILES };
struct jail_cgroup {
	int count;             /* folders of this lane: one on v2, one a controller on v1 */
	bool v2;
	char dirs[4][JAIL_PATH_BYTES];
	char memory[JAIL_PATH_BYTES], pids[JAIL_PATH_BYTES], cpuacct[JAIL_PATH_BYTES];
	int files[JAIL_CGROUP_FILES]; /* open, or -1: each use opens it */
};
struct jail_peaks { int64_t memory_bytes, oom_kills, pids_peak, pids_refused, cpu_us; };
enum { JAIL_OUR_PIDS = 2 }; /* spawner and init count in the lane's cgroup, too; ours: these, and a zygote where there is one */
bool jail_cgroup_is_v2(const char *root); /* does its cgroup.controllers offer all that we need? */
/* For a runtime limits and counts are those of the container's group below the lane's: jail_cgroup_below() makes it anew for each job. */
MUSTCHECK enum rc jail_cgroup_open(struct jail_cgroup *c, const struct jail_place *p, int lane, struct err *err);
MUSTCHECK enum rc jail_cgroup_below(const struct jail_cgroup *c, struct err *err);
MUSTCHECK enum rc jail_cgroup_join(const struct jail_cgroup *c, pid_t pid, struct err *err); /* once, the spawner */
MUSTCHECK enum rc jail_cgroup_set(const struct jail_cgroup *c, const struct jail_limits *l, int ours, struct err *err);
int64_t jail_cgroup_cpu_us(const struct jail_cgroup *c);
int64_t jail_cgroup_pids(const struct jail_cgroup *c); /* now */
int64_t jail_cgroup_bytes(const struct jail_cgroup *c); /* now */
void jail_cgroup_empty(const struct jail_cgroup *c);   /* throw out what nobody holds: page cache of jobs that ended */
void jail_cgroup_peaks(const struct jail_cgroup *c, struct jail_peaks *out);
void jail_cgroup_kill(const struct jail_cgroup *c, pid_t spare, pid_t also); /* everything in it but these; 0: none */
void jail_cgroup_shut(struct jail_cgroup *c);          /* what is open of it: whoever has no use for that */
void jail_cgroup_close(struct jail_cgroup *c);
enum { JAIL_RLIMITS = 10 };
struct jail_rlimit { int what; const char *name; int64_t value; };
size_t jail_rlimit_rows(const struct jail_limits *l, struct jail_rlimit out[JAIL_RLIMITS]); /* how many; no allocation */
int jail_rlimits(const struct jail_limits *l);            /* in the job; 0 or -1 with errno */
int jail_rlimit_stack(void);                              /* that one alone, in a zygote */

/* ---- jail_fs.c: what is visible ---- */

int jail_fs_enter(const struct jail_spawn *s);            /* in init: build the tree, pivot; 0 or -1 with errno */
/* In the spawner, for all of its lane: a mount namespace with that tree, base's, in which jail_fs_enter() works; 0 or -1 with errno. */
int jail_fs_lane(const char *base);
int jail_fs_template(const char *base, const char *program); /* that tree once for all containers, and pid 1 of each; 0 or -1 with errno */
MUSTCHECK enum rc jail_box_mount(const char *path, int64_t bytes, uint32_t uid, struct err *err);
MUSTCHECK enum rc jail_box_resize(const char *path, int64_t bytes, struct err *err); /* one that is mounted and empty */
void jail_box_unmount(const char *path);
struct jail_file { const char *name; struct slice bytes; bool executable; };
MUSTCHECK enum rc jail_box_put(const char *path, const struct jail_file *f, uint32_t uid, struct err *err);
/* Read a regular file beneath the box without following any link; RC_NEVER with the reason in err->code. */
MUSTCHECK enum rc jail_box_get(const char *path, const char *name, struct buf *out, struct err *err);

/* ---- jail_landlock.c ---- */

int jail_landlock_abi(void);   /* 0: this kernel has none that we use */
int jail_landlock_enter(void); /* in the job, after no_new_privs; 0 (also where there is none) or -1 with errno */

/* ---- jail_enter.c: the recipe, in init and job ---- */

/* Returns only where s says WARM_FORK, in the job, when nothing is left to be given away.  There init has the zygote's memory until it becomes
 * airlock-init, and makes its own id maps; sync_fd is not used. */
void jail_enter(const struct jail_spawn *s, int sync_fd, int report_fd, int listener_socket, int gate_fd);
void jail_split_text(const struct jail_spawn *s, char *argv[JAIL_ARGS + 1], char *env[JAIL_ENV + 1]); /* into s->text */
const char *jail_stage_name(int stage);
bool jail_has_time_namespaces(void);

/* ---- jail_birth.c: in the spawner, in a zygote ---- */

/* Id maps of a process in a user namespace of its own, "self" or a number; 0 or -1 with errno. */
int jail_birth_maps(const char *who, const struct jail_spawn *s);
/* One job: answer with its pidfd, then when it is reaped.  true only in the job itself, where jail_enter() returned. */
bool jail_birth(int socket, const struct jail_spawn *s, const int fds[SPAWN_FDS]);

/* ---- jail_spawner.c ---- */

struct jail_lane;
void NORETURN jail_spawner(const struct jail_lane *l, int socket);
enum { RUN_STARTED = 's', RUN_NOT = 'n' }; /* of a container, before it is reaped */

/* ---- jail_zygote.c: the supervisor's side of an interpreter that forks ---- */

struct jail_zygote {
	pid_t pid;             /* 0: there is none */
	int socket, pidfd;
	bool up;               /* it waits for orders */
	int64_t born_ms, jobs;
	int failures;          /* in a row: after a few this lane starts no more */
	struct jail_spawn *spawn; /* how it was started */
};
/* Start one for jobs like s, in place of another; a failure is none: those jobs start cold. */
void jail_zygote_start(struct jail_lane *l, const struct jail_spawn *s);
bool jail_zygote_fits(const struct jail_lane *l, const struct jail_spawn *s); /* is it alive, and is s a fork of it? */
bool jail_zygote_is_old(const struct jail_lane *l);
bool jail_zygote_await(struct jail_lane *l);  /* until it waits for orders, or is given up */
void jail_zygote_hear(struct jail_lane *l);   /* its socket is readable: it is up, or gone */
void jail_zygote_end(struct jail_lane *l);    /* with all its jobs; none is fine */
enum rc jail_zygote_open(struct jail_place *p, struct err *err); /* what it takes, into memory; RC_NEVER: not there */

/* ---- jail_spawn.c: the supervisor's side of a lane ---- */

struct jail_lane {
	int index;
	uint32_t uid;
	struct jail_cgroup cgroup;
	pid_t spawner;
	int spawner_socket;
	int command_fd;        /* readable while a job runs: stop it; -1: nobody can */
	char box[128];
	const char *base;      /* as in jail_place */
	const struct jail_oci *oci;
	int zygote_fd, init_fd; /* as in jail_place */
	struct jail_zygote zygote;
	struct running *past;  /* the run that was answered, to be settled; NULL: none */
	struct running *ready; /* a process that waits for its job in the mounted box; NULL: none */
	struct jail_spawn *waiting; /* how that was started */
	bool broken;           /* a job could not be ended, or the spawner not be asked: the lane must go, and all with it */
	struct jail_spawn *next; /* what to make ready when the lane is idle; NULL: nothing yet */
};
MUSTCHECK enum rc jail_lane_open(struct jail_lane *l, const struct jail_place *p, int index, struct err *err);
void jail_lane_close(struct jail_lane *l);

struct jail_stream { struct buf head, tail; int64_t bytes; int64_t keep; };
struct jail_result {
	struct jail_end end;
	struct jail_peaks peaks;
	int64_t wall_ms;
	bool timed_out, cpu_out, output_out, refused_out, stopped, disk_full, warm;
	struct jail_stream out, err_out;
	struct jail_refusals refused;
};
/* Run one process to its end.  RC_OK whatever the program did; anything else: we failed. */
/* The box stays mounted until jail_settle(). */
MUSTCHECK enum rc jail_run(struct jail_lane *l, const struct jail_spawn *s, struct slice input, struct jail_result *out, struct err *err);
void jail_result_release(struct jail_result *r);
/* Wait for what the kernel still takes apart of the last run, and unmount its box; before the next, and behind each answer. */
void jail_settle(struct jail_lane *l);

/* A process as s says, started ahead of its job in a box of its own; a failure is none: the next job starts cold. */
void jail_prepare(struct jail_lane *l, const struct jail_spawn *s);
/* Is what waits as good as a fresh start of s?  Then jail_run(s) lets it go, in the box that is mounted already. */
bool jail_is_ready(const struct jail_lane *l, const struct jail_spawn *s);
/* Can its zygote fork s now?  Waits for one that is starting. */
bool jail_can_fork(struct jail_lane *l, const struct jail_spawn *s);
void jail_discard(struct jail_lane *l);    /* end what waits, unmount its box; nothing there is fine */
void jail_wait(struct jail_lane *l);       /* until command_fd is readable; answers refused calls of what waits */

/* ---- jail_job.c: compile, then runs; JSON in and out ---- */

MUSTCHECK enum rc jail_job(struct jail_lane *l, const struct doc *job, struct buf *out, struct err *err);

/* ---- jail_check.c ---- */

/* Prove each layer on this machine with small programs of ours; *report gets one line a layer. */
MUSTCHECK enum rc jail_check(struct jail_lane *l, struct buf *report, struct err *err);

/* ---- jail_explain.c: for people; RC_NEVER where out has no room ---- */

MUSTCHECK enum rc jail_explain(const struct jail_lane *l, struct buf *out);
MUSTCHECK enum rc jail_fs_explain(struct buf *out);       /* jail_fs.c */
MUSTCHECK enum rc jail_syscalls_explain(struct buf *out); /* jail_syscalls.c */

#endif
