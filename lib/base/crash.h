/*
 * crash: named points at which a test ends a program, one before and one after each effect that delivery promises something about.
 *
 * Only in the test-only build (make FAULTS=1, -DAIRLOCK_FAULTS, in build/faults).  There the environment says where:
 *
 *   AIRLOCK_CRASH_AT=name[:n[:stop]]   SIGKILL at the n-th passing (default the first); with "stop" SIGSTOP instead, for tests that let
 *                                      another take over and then continue us
 *   AIRLOCK_POISON=text                SIGKILL whenever a message with that text in it is opened
 *   AIRLOCK_BROKEN=switch              breaks one rule on purpose, to show that the tests notice
 *   AIRLOCK_FAIL=call:n                the n-th passing of a call into a foreign library fails as that library can fail; "alloc:n": there is
 *                                      no memory, which ends us.  "count:0": none fails.  AIRLOCK_FAIL_FROM=name: counted from the first passing
 *                                      of that point on (memory only then).  AIRLOCK_FAIL_TO=name: how often each was passed is told there, once
 *
 * The ordinary build has neither the names nor a branch: everything here is empty.  Any thread.
 */
#ifndef AIRLOCK_CRASH_H
#define AIRLOCK_CRASH_H

#include "base/base.h"

/* X(constant, name, who passes it, what has happened just before, what comes next).  "step": each of the five steps. */
#define CRASH_POINTS(X) \
	X(HAND_BEGUN, "hand.begun", "step", "a message came from the log", "the slot in hand is written") \
	X(HAND_WRITTEN, "hand.written", "step", "the slot in hand is written", "the message is opened") \
	X(HAND_CLEARED, "hand.cleared", "step", "the slot in hand is cleared", "whatever comes next") \
	X(JOB_ENDED, "job.ended", "step", "the program has decided", "its line is written and published") \
	X(PUBLISH_BEGUN, "publish.begun", "step", "the message is built", "it is handed to the producer") \
	X(PUBLISH_SENT, "publish.sent", "step", "the producer has it", "the broker acknowledges") \
	X(PUBLISH_ACKED, "publish.acked", "step", "the broker has acknowledged", "the offset counts as done") \
	X(PUBLISH_COUNTED, "publish.counted", "step", "the offset counts as done", "it is committed with the map") \
	X(COMMIT_BEGUN, "commit.begun", "step", "offset and map are written", "the commit is sent") \
	X(COMMIT_SENT, "commit.sent", "step", "the commit is sent", "the broker answers") \
	X(COMMIT_ANSWERED, "commit.answered", "step", "the broker has committed", "more is done") \
	X(REVOKE_BEGUN, "revoke.begun", "join", "a partition is to be given back", "what has begun may finish") \
	X(REVOKE_COMMITTED, "revoke.committed", "join", "its map was sent", "it is released") \
	X(CANCEL_BEGUN, "cancel.begun", "cancel", "a cancelled job is stopped", "its end is published") \
	X(CANCEL_ACKED, "cancel.acked", "cancel", "its end is acknowledged", "the offset counts as done") \
	X(DEAD_BEGUN, "dead.begun", "garbage", "a message cannot be handled", "it is handed to the producer") \
	X(DEAD_ACKED, "dead.acked", "garbage", "the dead letter is acknowledged", "the offset counts as done") \
	X(CALL_BEGUN, "call.begun", "infer", "a prompt is written", "the model is called") \
	X(CALL_SENT, "call.sent", "infer", "the call has begun", "the model answers") \
	X(CALL_ANSWERED, "call.answered", "infer", "the model has answered", "the answer is written") \
	X(RUN_BEGUN, "run.begun", "run", "a program was chosen", "the jail is asked") \
	X(RUN_SENT, "run.sent", "run", "the jail was asked", "the program runs") \
	X(RUN_ENDED, "run.ended", "run", "the program has ended", "its outcome is written") \
	X(ROW_ASKED, "row.asked", "record", "a partition came", "its offset row is taken") \
	X(ROW_TAKEN, "row.taken", "record", "its offset row is taken", "it is read") \
	X(FLUSH_BEGUN, "flush.begun", "record", "a batch is whole", "the transaction begins") \
	X(OFFSETS_MOVED, "offsets.moved", "record", "an offset row has moved", "rows are copied") \
	X(COPY_BEGUN, "copy.begun", "record", "COPY is open", "rows are sent") \
	X(COPY_HALF, "copy.half", "record", "rows are sent", "COPY is ended") \
	X(COPY_SENT, "copy.sent", "record", "COPY is ended", "the database answers") \
	X(FLUSH_COPIED, "flush.copied", "record", "the rows are in", "COMMIT") \
	X(FLUSH_COMMITTED, "flush.committed", "record", "COMMIT has been answered", "NOTIFY") \
	X(FLUSH_NOTIFIED, "flush.notified", "record", "NOTIFY is sent", "the next batch") \
	X(FLUSH_TOLD, "flush.told", "record", "the commit to Kafka is sent", "whatever comes next") \
	X(RESERVE_BEGUN, "reserve.begun", "gateway", "a good request with a key came", "the key is reserved") \
	X(RESERVED, "reserve.done", "gateway", "the key is reserved", "the request is produced") \
	X(PRODUCE_BEGUN, "produce.begun", "gateway", "the request is signed", "it is handed to the producer") \
	X(PRODUCE_SENT, "produce.sent", "gateway", "the producer has it", "the broker acknowledges") \
	X(PRODUCE_ACKED, "produce.acked", "gateway", "the broker has acknowledged", "the key counts as accepted") \
	X(ACCEPT_SENT, "accept.sent", "gateway", "the key's row is being set", "the client is answered") \
	X(ANSWERED, "answer.done", "gateway", "the client is answered", "whatever comes next") \
	X(CANCEL_SENT, "cancel.sent", "gateway", "an end is handed to the producer", "the broker acknowledges") \
	X(CANCEL_STORED, "cancel.stored", "gateway", "the end is acknowledged", "the client is answered")

/* Rules that the test-only build can break. */
enum crash_rule {
	CRASH_COMMIT_FIRST,  /* "commit-first": an offset is committed before its message is published */
	CRASH_NO_COMPARE,    /* "no-compare": an offset row moves whatever it holds and whoever owns it */
	CRASH_RELEASE_EARLY, /* "release-early": released before the output gate has decided */
};

/* X(constant, name): what of lib/io can fail one at a time. */
#define CRASH_CALLS(X) \
	X(KAFKA_CLIENT, "kafka.client")   /* no client can be made */ \
	X(KAFKA_PUBLISH, "kafka.publish") /* the queue is full */ \
	X(KAFKA_REPORT, "kafka.report")   /* nobody knows whether it is in the log */ \
	X(KAFKA_COMMIT, "kafka.commit")   /* the broker refuses the offsets */ \
	X(KAFKA_READ, "kafka.read")       /* a partition cannot be read */ \
	X(KAFKA_ASK, "kafka.ask")         /* a question about topics, ends or groups has no answer */ \
	X(HTTP_BEGIN, "http.begin")       /* the call cannot begin */ \
	X(HTTP_ANSWER, "http.answer")     /* the connection breaks before the answer is whole */ \
	X(DB_SEND, "db.send")             /* the connection breaks when a statement is sent */ \
	X(DB_ANSWER, "db.answer")         /* the connection breaks when its answer is there */

#define CRASH_CONSTANT(constant, name, who, before, after) CRASH_##constant,
enum crash_point { CRASH_POINTS(CRASH_CONSTANT) CRASH_POINT_COUNT };

#define CRASH_CALL(constant, name) CRASH_##constant,
enum crash_call { CRASH_CALLS(CRASH_CALL) CRASH_CALL_COUNT };

#ifdef AIRLOCK_FAULTS
void crash_at(enum crash_point p);
void crash_on(const char *message, size_t n);
bool crash_breaks(enum crash_rule r);
bool crash_fails(enum crash_call c); /* true: behave as if it had failed */
#else
static inline void crash_at(enum crash_point p)
{
	(void)p;
}
static inline void crash_on(const char *message, size_t n)
{
	(void)message;
	(void)n;
}
static inline bool crash_breaks(enum crash_rule r)
{
	(void)r;
	return false;
}
static inline bool crash_fails(enum crash_call c)
{
	(void)c;
	return false;
}
#endif

/* AddressSanitizer looks for leaks by attaching to its own process, as a debugger would: the build that does both keeps the right to. */
static inline bool crash_seeks_leaks(void)
{
#if defined(AIRLOCK_FAULTS) && defined(__SANITIZE_ADDRESS__)
	return true;
#else
	return false;
#endif
}

#endif
