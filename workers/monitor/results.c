#include "results.h"

#include "base/base.h"
#include "base/clock.h"
#include "base/mem.h"

#include "model/lineage.h"

#include "lag.h"

enum { PARTITIONS = 1024 };

/* Nobody waits for what is counted here: an answer of the broker holds what has come in a second, not each result by itself. */
static const struct kafka_setting gathered = { "fetch.min.bytes", "262144" };

struct results {
	const struct keyring *keys;
	struct detect *detect;
	struct kafka_consumer *reader;
	const char *topic;
	bool begun[PARTITIONS];
	bool first; /* the first look: what is in the log by then is history */
	struct message message;
	struct lineage lineage;
	struct request request;
	struct verdict verdict;
	struct metric *by_status[STATUS_COUNT], *unproven;
};

/* What a gate said, as detect wants it.  A line that cannot be read is as good as none: RECORD tells about it. */
static void verdict_of(struct results *r, enum kind gate, struct detect_verdict *out)
{
	const struct entry *e = message_find(&r->message, gate);
	struct digest_run *hash;
	struct err err;

	if (e == NULL || verdict_read(e->line, &r->verdict, &err) != RC_OK)
		return;
	hash = digest_run_new();
	for (size_t i = 0; i < r->verdict.part_count; i++) {
		const struct part *p = &r->verdict.parts[i];
		const char end = '\0';

		digest_run_add(hash, p->name);
		digest_run_add(hash, slice_of(&end, 1)); /* names hold no NUL: one name cannot run into a hash */
		digest_run_add(hash, slice_of(p->sha256.bytes, SHA256_BYTES));
	}
	*out = (struct detect_verdict){
		.judged = true, .degraded = r->verdict.degraded, .decision = r->verdict.decision, .parts = digest_run_peek(hash),
		.policy = r->verdict.policy_sha256,
	};
	digest_run_free(hash);
	verdict_release(&r->verdict);
}

/* The gateway's MAC on line 1 is all that we can check: a request that nobody submitted is not counted. */
static enum rc read_result(struct results *r, struct slice bytes, struct detect_result *out, struct err *err)
{
	bool has_request = false;
	enum rc rc = message_read(bytes, &r->message, err);

	if (rc != RC_OK)
		return rc;
	rc = lineage_check(r->keys, &r->message, &r->lineage, err);
	if (rc != RC_OK)
		return rc;
	if (r->message.entries[0].kind == KIND_REQUEST) {
		rc = request_read(r->message.entries[0].line, &r->request, err);
		has_request = rc == RC_OK;
	}
	if (rc == RC_OK)
		rc = lineage_demand(PROGRAM_MONITOR, &r->message, &r->lineage, has_request ? &r->request : NULL, err);
	if (rc == RC_OK)
		rc = status_of_message(&r->message, &out->status, err);
	if (rc == RC_OK && has_request) {
		out->tenant = r->request.tenant;
		verdict_of(r, KIND_SCREEN, &out->gates[0]);
		verdict_of(r, KIND_INSPECT, &out->gates[1]);
		verdict_of(r, KIND_REVIEW, &out->gates[2]);
	}
	if (rc == RC_OK) {
		metric_add(r->by_status[out->status], 1);
		detect_result(r->detect, out, clock_mono_ms());
	}
	if (has_request)
		request_release(&r->request);
	lineage_release(&r->lineage);
	return rc;
}

static void on_record(void *arg, struct kafka_record *k)
{
	struct results *r = arg;
	struct detect_result result = { .tenant = SLICE_EMPTY };
	struct err err;

	if (read_result(r, k->bytes, &result, &err) != RC_OK)
		metric_add(r->unproven, 1); /* RECORD keeps it as a dead letter, with an alert */
	kafka_record_free(k);
}

static void on_error(void *arg, struct kafka_partition p, const struct err *err, bool position_out_of_log)
{
	struct results *r = arg;

	if (!position_out_of_log)
		return; /* a broker that is away shows in /readyz */
	monitor_log("reading on from the end", err->code, err->text);
	kafka_reader_remove(r->reader, p);
	r->begun[p.partition] = false;
	r->first = true;
}

void results_ranges(struct results *r, const struct kafka_range *list, size_t count)
{
	struct err err;

	for (size_t i = 0; i < count; i++) {
		const struct kafka_partition p = { r->topic, list[i].partition };

		if (p.partition < 0 || p.partition >= PARTITIONS || r->begun[p.partition])
			continue;
		if (kafka_reader_add(r->reader, p, r->first ? list[i].end : list[i].begin, &err) == RC_OK)
			r->begun[p.partition] = true;
		else
			monitor_log("results cannot be read", err.code, err.text);
	}
	if (count > 0)
		r->first = false;
}

enum rc results_open(struct loop *l, const struct kafka_conf *conf, const struct keyring *keys, struct metrics *metrics, struct detect *d,
                     struct results **out, struct err *err)
{
	static const struct kafka_events events = { .on_record = on_record, .on_error = on_error };
	struct results *r = mem_new(sizeof(*r));
	struct kafka_setting *settings = mem_new_array(conf->more_count + 1, sizeof(*settings));
	struct kafka_conf own = *conf;
	enum rc rc;

	r->keys = keys;
	r->detect = d;
	r->first = true;
	r->topic = topic_name(TOPIC_RESULTS, LANE_INTERACTIVE);
	for (int s = 0; s < STATUS_COUNT; s++) {
		char labels[64];

		(void)snprintf(labels, sizeof(labels), "status=\"%s\"", status_name((enum status)s)); /* our own short words */
		r->by_status[s] = metrics_counter(metrics, "airlock_monitor_results_total", labels, "Results seen since the start.");
	}
	r->unproven = metrics_counter(metrics, "airlock_monitor_results_unproven_total", "", "Results that could not be believed.");
	settings[0] = gathered;
	for (size_t i = 0; i < conf->more_count; i++)
		settings[i + 1] = conf->more[i];
	own.more = settings;
	own.more_count++;
	rc = kafka_reader_open(l, &own, &events, r, &r->reader, err);
	mem_free(settings);
	if (rc != RC_OK) {
		mem_free(r);
		return rc;
	}
	*out = r;
	return RC_OK;
}

void results_close(struct results *r, int64_t timeout_ms)
{
	if (r == NULL)
		return;
	kafka_consumer_close(r->reader, timeout_ms);
	mem_free(r);
}
