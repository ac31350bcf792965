/*
 * toy_stage: a worker of the step INFER whose program does what a test says, on the mock cluster; and what a test needs around it: a
 * producer of signed messages and sinks that collect what comes out.  One rig a test; everything runs on its loop.
 */
#ifndef AIRLOCK_TOY_STAGE_H
#define AIRLOCK_TOY_STAGE_H

#include "stage/stage_internal.h"

#include "tests/fake/fake_service.h"
#include "tests/fake/messages.h"
#include "tests/fake/mock_cluster.h"

enum { TOY_WAIT_MS = 20000, TOY_HELD = 512, TOY_OUT = 1024 };
enum toy_mode { TOY_PASS, TOY_HOLD, TOY_LATER, TOY_NEVER, TOY_BROKEN };

struct sink_message {
	char key[64], topic[64];
	struct buf bytes;
	size_t header_count;
	struct { char name[64], value[256]; } headers[40];
};
struct rig {
	struct mock *mock;
	struct loop *loop;
	struct kafka_producer *producer;
	struct kafka_consumer *reader;
	struct messages f;
	char folder[64];
	size_t sent, acknowledged;
	/* what came out of the worker */
	size_t passed, ended, dead;
	struct sink_message out[TOY_OUT];
	size_t out_count;
};
struct worker {
	struct rig *rig;
	struct service *service;
	struct stage_program program;
	struct stage_entry entry;
	struct stage *stage;
	enum toy_mode mode;
	struct job *held[TOY_HELD];
	size_t held_count, started, stopped;
	int slots, reserved;
	int64_t longest_ms;
	char order[65536]; /* ids in order of start */
};

void rig_open(struct rig *r, int partitions);
void rig_close(struct rig *r);
/* A fresh request at INFER's door with a deadline that far away; on that partition (-1: by key).  Waits for its acknowledgement. */
void rig_send(struct rig *r, int32_t partition, int64_t deadline_in_ms, enum lane lane);
/* f.bytes as they are, with that key and deadline header. */
void rig_send_bytes(struct rig *r, const char *topic, int32_t partition, struct slice key, int64_t deadline_ms);
void rig_cancel(struct rig *r, const struct messages *f); /* what the gateway writes to control */
const struct sink_message *rig_last(const struct rig *r, const char *topic);
const char *sink_header(const struct sink_message *m, const char *name);
void rig_turn(struct rig *r, int64_t ms); /* let time pass */
#define RIG_UNTIL(r, condition) \
	do { \
		int64_t until_ = clock_mono_ms() + TOY_WAIT_MS; \
		while (!(condition)) { \
			if (clock_mono_ms() > until_) \
				fail_msg("never: %s", #condition); \
			loop_turn((r)->loop, 10); \
		} \
	} while (0)

/* settings: more lines for the settings file.  Set mode, slots before. */
void worker_open(struct worker *w, struct rig *r, const char *settings);
void worker_drain(struct worker *w); /* as SIGTERM: until drained, then closed */
void worker_close(struct worker *w); /* at once: what is in hand is left */
void worker_finish(struct worker *w, size_t i, enum rc rc); /* end the i-th held job */
double worker_metric(struct worker *w, const char *name, const char *labels);

#endif
