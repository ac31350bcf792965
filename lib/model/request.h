/*
 * request: line 1, the request as the gateway signed it.  Schema: schemas/request.json.
 *
 * {"kind":"request","v":1,"id":"<uuidv7>","tenant":"acme","key":"k_1a2b","lane":"batch","api":"responses",
 *  "created_ms":1,"deadline_ms":2,"execute":true,"model":"...","instructions":"...","input":"...","language":"python",
 *  "max_output_tokens":1024,"temperature":0.2,"program":"...","stdin":"...","tests":[...],"inputs":[...],
 *  "outputs":["plot.png"],"limits":{...},"isolation":"exec","rounds":1,"budget":{...},"custom_id":"...","group":"...","sample":0,
 *  "end_user":"...","traceparent":"...","metadata":{...}}
 * tests: {"name":"..","type":"code","code":".."} or {"type":"io","input":"..","expected":"..","compare":"exact|whitespace|float"}, each with
 * "wall_ms"; inputs: {"name":"data.csv","base64":".."}; isolation: "warm" (as good as absent) or "exec".  A member that is empty or 0 is left out.
 * Own program: "program" is there and "input" is not; INFER is passed without a line.  execute false: RUN is.
 */
#ifndef AIRLOCK_REQUEST_H
#define AIRLOCK_REQUEST_H

#include "base/doc.h"
#include "base/uuid.h"
#include "model/flow.h"
#include "model/limits.h"

enum test_kind { TEST_CODE, TEST_IO };
enum test_compare { COMPARE_EXACT, COMPARE_WHITESPACE, COMPARE_FLOAT };
struct test {
	struct slice name;         /* may be empty */
	enum test_kind kind;
	struct slice code;         /* code: source that runs after the program, in its language */
	struct slice input;        /* io: stdin */
	struct slice expected;     /* io: stdout */
	enum test_compare compare;
	int64_t wall_ms;           /* 0: the request's limit */
};
struct named_bytes {
	struct slice name;         /* relative path without "..": LIMIT_NAME_BYTES */
	struct slice base64;       /* content as it travels */
};
enum isolation { ISOLATION_WARM, ISOLATION_EXEC }; /* may an interpreter that was started ahead take it, or only a new one? */
bool isolation_read(struct slice name, enum isolation *out); /* "warm", "exec"; false: neither */
struct run_limits {            /* 0: the runtime's default */
	int64_t wall_ms, cpu_ms, memory_bytes, pids, disk_bytes, output_bytes, file_bytes;
};
struct budget {                /* what the gateway reserved for all attempts; INFER must stay below.  0: no ceiling of that kind */
	int64_t input_tokens, output_tokens, cost_micro_usd;
};

struct request {
	struct doc *doc;           /* owns every slice below */
	struct uuid id;
	struct slice id_text, tenant, key, api, custom_id, group, end_user, traceparent;
	enum lane lane;
	int64_t created_ms, deadline_ms; /* Unix epoch */
	int64_t sample;            /* -1: none */
	bool execute, own_program;
	struct slice model, instructions, input, language;
	struct slice program;      /* own program only */
	int64_t max_output_tokens; /* 0: the policy's */
	double temperature;        /* < 0: the upstream's default */
	struct slice stdin_text;
	bool stop_at_first_failure;
	enum isolation isolation;
	struct run_limits limits;
	int64_t rounds;            /* attempts allowed, 1..LIMIT_ROUNDS */
	struct budget budget;
	const struct doc *metadata; /* NULL or an object of text values; borrowed from doc */
	size_t test_count, input_count, output_count;
	struct test tests[LIMIT_TESTS];         /* the lists are last: request_read() leaves what lies beyond their counts as it was */
	struct named_bytes inputs[LIMIT_FILES]; /* files placed beside the program */
	struct slice outputs[LIMIT_FILES];      /* files collected after the run */
};

/* RC_NEVER "request_*" naming the member; *out is then empty.  Strict: unknown members are refused. */
MUSTCHECK enum rc request_read(struct slice line, struct request *out, struct err *err);
void request_release(struct request *r);
/* The fields but doc -> a line without newline.  What it writes, request_read() accepts, or RC_NEVER. */
MUSTCHECK enum rc request_write(const struct request *r, struct buf *out, struct err *err);

/* Kafka's headers are copies of line 1 for tools: what says something else is garbage, and the three that must be there must be.  One call a header,
 * then one with an empty name.  *seen: 0 before the first.  deadline_ms: the request's, or what a person's decision set.  RC_NEVER "header_*". */
MUSTCHECK enum rc request_check_header(const struct request *r, int64_t deadline_ms, struct slice name, struct slice value, unsigned *seen,
                                       struct err *err);

#endif
