/* limits: every ceiling of what travels, with unit and reason.  Sizes are counted as encoded in the message. */
#ifndef AIRLOCK_LIMITS_H
#define AIRLOCK_LIMITS_H

enum {
	LIMIT_REQUEST_BYTES = 256 * 1024,  /* line 1: what a client may send */
	LIMIT_ANSWER_BYTES = 256 * 1024,   /* a model's answer in its line; about 60,000 tokens */
	LIMIT_OUTPUT_BYTES = 128 * 1024,   /* stdout and stderr together, base64 */
	LIMIT_FILES_BYTES = 1024 * 1024,   /* collected files together, base64 */
	LIMIT_VERDICT_BYTES = 64 * 1024,   /* one gate's line */
	LIMIT_END_BYTES = 8 * 1024,        /* an end, repair, decision, control or alert line without the text it quotes */
	LIMIT_INFER_BYTES = LIMIT_ANSWER_BYTES + 16 * 1024, /* INFER's line: the answer, and 16 calls with what they cost */
	LIMIT_RUN_BYTES = LIMIT_OUTPUT_BYTES + LIMIT_FILES_BYTES + 64 * 1024, /* RUN's line: and 100 tests, names, refused calls */
	LIMIT_REPAIR_TEXT_BYTES = 16 * 1024, /* error text that goes back to the model */
	LIMIT_MAC_BYTES = 1024,            /* one line of MACs: eight of 43 base64 bytes with their names */
	LIMIT_ROUNDS = 4,                  /* attempts of one request: 1 and at most 3 repairs */
	LIMIT_ENTRIES = 40,                /* lines with their MAC lines: request, 4 x (screen infer inspect run repair), review, hold decisions, end */

	/* repair, screen, infer, inspect, run, review, three decisions of a person, each with its MAC line, or an end in place of one */
	LIMIT_ATTEMPT_LINES = 9,
	LIMIT_ATTEMPT_BYTES = LIMIT_REPAIR_TEXT_BYTES + LIMIT_END_BYTES + 3 * LIMIT_VERDICT_BYTES + LIMIT_INFER_BYTES +
	                      LIMIT_RUN_BYTES + 3 * LIMIT_END_BYTES + LIMIT_ATTEMPT_LINES * LIMIT_MAC_BYTES,
	LIMIT_MESSAGE_BYTES = 4 * 1024 * 1024,              /* max.message.bytes of topics and clients */
	LIMIT_DEAD_BYTES = LIMIT_MESSAGE_BYTES + 64 * 1024, /* the same bytes plus the headers that say why */
	LIMIT_KEY_BYTES = 36,              /* Kafka key: a UUID as text */
	LIMIT_HEADERS = 32,                /* headers of one message that we look at */
	LIMIT_HEADER_BYTES = 1024,

	LIMIT_TENANT_BYTES = 64,
	LIMIT_NAME_BYTES = 128,            /* model, custom_id, group, end user, file names */
	LIMIT_TESTS = 100,                 /* tests of one request */
	LIMIT_FILES = 32,                  /* files in, or out, of one run */
	LIMIT_PROGRAMS = 32,               /* programs that INSPECT names in one answer */
	LIMIT_PARTS = 48,                  /* parts that a gate names as judged */
	LIMIT_VOTES = 128,                 /* votes in one verdict */

	LIMIT_DEADLINE_MS_MAX = 7 * 24 * 3600 * 1000, /* 7 days; fits int: 604,800,000 */
	LIMIT_WINDOW = 16384,              /* offsets in flight or done beyond the committed one, per partition */
	LIMIT_COMMIT_METADATA_BYTES = 4000, /* brokers refuse more than 4,096 */
	LIMIT_CANCELS = 1 << 17,           /* ids a worker remembers as cancelled */
};
_Static_assert(1 + LIMIT_ROUNDS * LIMIT_ATTEMPT_LINES <= LIMIT_ENTRIES, "every way that the flow allows can be cut into entries");
_Static_assert(LIMIT_REQUEST_BYTES + LIMIT_MAC_BYTES + 2 * LIMIT_ATTEMPT_BYTES <= LIMIT_MESSAGE_BYTES, "a request and two largest attempts fit");

#endif
