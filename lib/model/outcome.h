/*
 * outcome: the line of RUN: how the program ended, with the kernel's evidence.  Schema: run.json.
 * Program output and files are foreign bytes: base64 with their length.
 *
 * {"kind":"run","v":1,"attempt":1,"at_ms":..,"language":"python","isolation":"native exec","program_sha256":"<hex>","verdict":"ok",
 *  "detail":"..","exit_code":0,"signal":0,"wall_ms":..,"cpu_ms":..,"compile_ms":..,"peak_memory_bytes":..,"oom_kills":..,"pids_peak":..,
 *  "leftovers_killed":..,"stdout":{"bytes":5,"truncated":false,"base64":".."},"stderr":{..},
 *  "files":[{"name":"plot.png","bytes":..,"sha256":"<hex>","base64":".."}],"refused_files":[{"name":"..","why":"too_big"}],
 *  "refused_calls":[{"name":"socket","count":1,"argument":".."}],"tests":[{"name":"..","passed":true,"verdict":"ok","wall_ms":..}],
 *  "tests_passed":1}        lists and texts that are empty are left out
 *
 * Foreign text (detail, argument, refused_file) may be any bytes: the writer cuts and cleans it.  Names of files must be relative
 * paths in UTF-8 (a file with another name is a refused one).
 */
#ifndef AIRLOCK_OUTCOME_H
#define AIRLOCK_OUTCOME_H

#include "base/digest.h"
#include "base/doc.h"
#include "model/message.h"
#include "model/request.h"

enum run_verdict {
	RUN_OK,            /* ended by itself with 0, and every test passed */
	RUN_WRONG_ANSWER,  /* a test failed */
	RUN_NONZERO_EXIT,
	RUN_SIGNAL,
	RUN_COMPILE_ERROR,
	RUN_TIMEOUT,
	RUN_CPU_LIMIT,
	RUN_MEMORY_LIMIT,
	RUN_PIDS_LIMIT,
	RUN_DISK_LIMIT,
	RUN_OUTPUT_LIMIT,
	RUN_VIOLATION,     /* a call that the profile forbids */
	RUN_NO_PROGRAM,    /* the answer holds no program in the language asked for */
	RUN_INTERNAL,
	RUN_VERDICT_COUNT,
};
const char *run_verdict_name(enum run_verdict v); /* "ok", "wrong_answer", ... */
bool run_verdict_read(struct slice name, enum run_verdict *out);

struct output {            /* stdout or stderr */
	int64_t bytes;         /* written by the program in all */
	bool truncated;        /* head and tail kept, a line between says how much is left out */
	struct slice base64;   /* as it travels */
};
enum { OUTCOME_CALLS = 32 };
struct refused_call { struct slice name; int64_t count; struct slice argument; };
struct out_file { struct slice name; int64_t bytes; struct sha256 sha256; struct slice base64; };
struct refused_file { struct slice name, why; };
struct test_outcome { struct slice name; bool passed; enum run_verdict verdict; int64_t wall_ms; };

struct outcome {
	struct doc *doc;       /* owns the slices after outcome_read() */
	int attempt;
	int64_t at_ms;
	struct slice language, isolation; /* isolation: "native exec", "native warm", "oci runsc" */
	struct sha256 program_sha256;     /* what ran; equals one that INSPECT named; all zero only for RUN_NO_PROGRAM, RUN_INTERNAL */
	enum run_verdict verdict;
	struct slice detail;   /* one line: which limit, which call, compiler's first line */
	int64_t exit_code;     /* -1: none */
	int64_t signal;        /* 0: none */
	int64_t wall_ms, cpu_ms, compile_ms, peak_memory_bytes, oom_kills, pids_peak, leftovers_killed;
	struct output out, err_out;
	int64_t tests_passed;
	size_t refused_call_count, file_count, refused_file_count, test_count;
	struct refused_call refused_calls[OUTCOME_CALLS]; /* the lists are last: outcome_read() leaves what lies beyond their counts as it was */
	struct out_file files[LIMIT_FILES];
	struct refused_file refused_files[LIMIT_FILES];
	struct test_outcome tests[LIMIT_TESTS];
};
bool outcome_has_program(const struct outcome *o); /* is program_sha256 there? */
/* RC_NEVER "run_*"; *out is then empty. */
MUSTCHECK enum rc outcome_read(struct slice line, struct outcome *out, struct err *err);
MUSTCHECK enum rc outcome_write(const struct outcome *o, struct buf *out, struct err *err);
void outcome_release(struct outcome *o);

#endif
