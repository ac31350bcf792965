#include "tests/fake/toy_stage.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#include "model/answer.h"
#include "model/ending.h"

static const char *const sinks[] = { "airlock.candidates", "airlock.candidates.batch", "airlock.results", "airlock.dead" };

/* ---- rig ---- */

static void on_record(void *arg, struct kafka_record *k)
{
	struct rig *r = arg;
	struct sink_message *m = &r->out[r->out_count++];

	assert(r->out_count <= TOY_OUT);
	m->bytes = (struct buf)BUF_INIT(8 * 1024 * 1024);
	snprintf(m->topic, sizeof(m->topic), "%s", k->at.topic);
	snprintf(m->key, sizeof(m->key), "%.*s", (int)k->key.len, k->key.ptr);
	if (buf_add_slice(&m->bytes, k->bytes) != RC_OK)
		abort();
	m->header_count = k->header_count;
	for (size_t i = 0; i < k->header_count; i++) {
		snprintf(m->headers[i].name, sizeof(m->headers[i].name), "%.*s", (int)k->headers[i].name.len, k->headers[i].name.ptr);
		snprintf(m->headers[i].value, sizeof(m->headers[i].value), "%.*s", (int)k->headers[i].value.len, k->headers[i].value.ptr);
	}
	r->passed += strncmp(m->topic, "airlock.candidates", 18) == 0;
	r->ended += strcmp(m->topic, "airlock.results") == 0;
	r->dead += strcmp(m->topic, "airlock.dead") == 0;
	kafka_record_free(k);
}

static void write_file(const char *path, struct slice bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, bytes.ptr, bytes.len) != (ssize_t)bytes.len)
		abort();
	(void)close(fd); /* a file of a test */
}

void rig_open(struct rig *r, int partitions)
{
	static const struct kafka_events events = { .on_record = on_record };
	AUTO_BUF struct buf keys = BUF_INIT(65536);
	struct kafka_conf conf;
	struct err err;
	char path[128];

	memset(r, 0, sizeof(*r));
	r->mock = mock_open(1);
	r->loop = loop_new();
	mock_topic(r->mock, "airlock.prompts", partitions);
	mock_topic(r->mock, "airlock.prompts.batch", partitions);
	mock_topic(r->mock, "airlock.control", 1);
	for (size_t i = 0; i < COUNT_OF(sinks); i++)
		mock_topic(r->mock, sinks[i], 1);
	conf = mock_conf(r->mock);
	if (kafka_producer_open(r->loop, &conf, &r->producer, &err) != RC_OK ||
	    kafka_reader_open(r->loop, &conf, &events, r, &r->reader, &err) != RC_OK)
		abort();
	for (size_t i = 0; i < COUNT_OF(sinks); i++) {
		if (kafka_reader_add(r->reader, (struct kafka_partition){ sinks[i], 0 }, KAFKA_LOG_START, &err) != RC_OK)
			abort();
	}
	snprintf(r->folder, sizeof(r->folder), "/tmp/airlock-rig-XXXXXX");
	if (!mkdtemp(r->folder))
		abort();
	messages_key_file(PROGRAM_INFER, &keys);
	snprintf(path, sizeof(path), "%s/infer.json", r->folder);
	write_file(path, buf_slice(&keys));
	messages_open(&r->f);
}

static void remove_folder(const char *folder)
{
	char path[256];

	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "%s/poison/infer.%d.poison", folder, i);
		(void)unlink(path); /* may not be there */
	}
	snprintf(path, sizeof(path), "%s/poison", folder);
	(void)rmdir(path); /* may not be there */
	snprintf(path, sizeof(path), "%s/infer.json", folder);
	(void)unlink(path);
	(void)rmdir(folder);
}

void rig_close(struct rig *r)
{
	kafka_consumer_close(r->reader, 1000);
	kafka_producer_close(r->producer, 1000);
	for (size_t i = 0; i < r->out_count; i++)
		buf_release(&r->out[i].bytes);
	messages_close(&r->f);
	loop_free(r->loop);
	mock_close(r->mock);
	remove_folder(r->folder);
}

static void on_sent(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	struct rig *r = arg;

	(void)partition;
	(void)offset;
	(void)err;
	r->acknowledged += rc == RC_OK;
}

static bool all_sent(void *arg)
{
	struct rig *r = arg;

	return r->acknowledged == r->sent;
}

void rig_send_bytes(struct rig *r, const char *topic, int32_t partition, struct slice key, int64_t deadline_ms)
{
	char deadline[24];
	const struct kafka_header headers[] = {
		{ SLICE_LITERAL("airlock-version"), SLICE_LITERAL("1") },
		{ SLICE_LITERAL("airlock-tenant"), r->f.request.tenant },
		{ SLICE_LITERAL("airlock-deadline"), slice_of(deadline, (size_t)snprintf(deadline, sizeof(deadline), "%lld", (long long)deadline_ms)) },
		{ SLICE_LITERAL("x-own"), SLICE_LITERAL("kept") },
	};
	const struct kafka_message m = { topic, partition, key, buf_slice(&r->f.bytes), headers, COUNT_OF(headers), 0 };
	struct err err;

	r->sent++;
	if (kafka_publish(r->producer, &m, on_sent, r, &err) != RC_OK)
		abort();
	if (!loop_until(r->loop, all_sent, r, TOY_WAIT_MS))
		abort();
}

void rig_send(struct rig *r, int32_t partition, int64_t deadline_in_ms, enum lane lane)
{
	r->f.request.created_ms = clock_wall_ms() - 1000;
	r->f.request.deadline_ms = clock_wall_ms() + deadline_in_ms;
	r->f.request.lane = lane;
	messages_start_over(&r->f, true);
	messages_until(&r->f, PROGRAM_INFER);
	rig_send_bytes(r, topic_name(TOPIC_PROMPTS, lane), partition, r->f.request.id_text, r->f.request.deadline_ms);
}

void rig_cancel(struct rig *r, const struct messages *f)
{
	AUTO_BUF struct buf line = BUF_INIT(8192), message = BUF_INIT(16384);
	const struct control c = { .id = f->request.id, .id_text = f->request.id_text, .tenant = f->request.tenant,
		                   .at_ms = clock_wall_ms(), .deadline_ms = f->request.deadline_ms };
	struct kafka_message m = { .topic = "airlock.control", .partition = 0, .key = f->request.id_text };
	struct err err;

	if (control_write(&c, &line, &err) != RC_OK || lineage_append(f->rings[PROGRAM_GATEWAY], &message, buf_slice(&line)) != RC_OK)
		abort();
	m.bytes = buf_slice(&message);
	r->sent++;
	if (kafka_publish(r->producer, &m, on_sent, r, &err) != RC_OK || !loop_until(r->loop, all_sent, r, TOY_WAIT_MS))
		abort();
}

const struct sink_message *rig_last(const struct rig *r, const char *topic)
{
	for (size_t i = r->out_count; i > 0; i--) {
		if (strcmp(r->out[i - 1].topic, topic) == 0)
			return &r->out[i - 1];
	}
	return NULL;
}

const char *sink_header(const struct sink_message *m, const char *name)
{
	for (size_t i = 0; i < m->header_count; i++) {
		if (strcmp(m->headers[i].name, name) == 0)
			return m->headers[i].value;
	}
	return "";
}

void rig_turn(struct rig *r, int64_t ms)
{
	int64_t until = clock_mono_ms() + ms;

	while (clock_mono_ms() < until)
		loop_turn(r->loop, 10);
}

/* ---- the toy program ---- */

static void answer(struct job *j)
{
	const struct answer a = { .attempt = j->message.attempt, .at_ms = 1, .ms = 1, .upstream = SLICE_LITERAL("toy"), .model = SLICE_LITERAL("toy"),
		                  .response_id = SLICE_LITERAL("r"), .finish = SLICE_LITERAL("stop"), .text = SLICE_LITERAL("```python\nprint(1)\n```") };

	if (answer_write(&a, &j->line, &j->err) != RC_OK)
		abort();
	j->route = ROUTE_PASS;
}

static void end_job(struct job *j, enum rc rc)
{
	if (rc == RC_OK)
		answer(j);
	else
		(void)err_set(&j->err, rc, "toy_error", "the toy says %s", rc_name(rc));
	job_done(j, rc);
}

static void toy_start(void *self, struct job *j)
{
	struct worker *w = self;
	static const enum rc rcs[] = { [TOY_PASS] = RC_OK, [TOY_LATER] = RC_LATER, [TOY_NEVER] = RC_NEVER, [TOY_BROKEN] = RC_BROKEN };

	w->started++;
	j->cost_micro_usd = 5;
	if (strlen(w->order) + 40 < sizeof(w->order))
		snprintf(w->order + strlen(w->order), 40, "%.*s,", (int)j->request.id_text.len, j->request.id_text.ptr);
	if (w->mode == TOY_HOLD) {
		assert(w->held_count < TOY_HELD);
		w->held[w->held_count++] = j;
		return;
	}
	end_job(j, rcs[w->mode]);
}

static void drop(struct worker *w, size_t i)
{
	memmove(&w->held[i], &w->held[i + 1], (w->held_count - i - 1) * sizeof(w->held[0]));
	w->held_count--;
}

static void toy_stop(void *self, struct job *j)
{
	struct worker *w = self;

	w->stopped++;
	for (size_t i = 0; i < w->held_count; i++) {
		if (w->held[i] == j) {
			drop(w, i);
			break;
		}
	}
	job_done(j, RC_OK);
}

static int toy_slots(void *self, int *reserved)
{
	struct worker *w = self;

	*reserved = w->reserved;
	return w->slots ? w->slots : 100;
}

static enum rc toy_prepare(struct service *s, const char *argument, void **self, struct err *err)
{
	struct stage_entry *e = (struct stage_entry *)(void *)(uintptr_t)service_program(s);

	(void)argument;
	(void)err;
	*self = (char *)e - offsetof(struct worker, entry);
	return RC_OK;
}

void worker_finish(struct worker *w, size_t i, enum rc rc)
{
	struct job *j = w->held[i];

	assert(i < w->held_count);
	drop(w, i);
	end_job(j, rc);
}

double worker_metric(struct worker *w, const char *name, const char *labels)
{
	return metric_value(metrics_counter(service_metrics(w->service), name, labels, ""));
}

void worker_open(struct worker *w, struct rig *r, const char *settings)
{
	AUTO_BUF struct buf text = BUF_INIT(8192);
	struct kafka_conf conf = mock_conf(r->mock);
	void *self = NULL;
	struct err err;

	w->rig = r;
	w->program = (struct stage_program){
		.service = { .name = "toy", .prepare = toy_prepare },
		.program = PROGRAM_INFER,
		.start = toy_start,
		.stop = toy_stop,
		.longest_job_ms = w->longest_ms ? w->longest_ms : 60000,
		.slots = toy_slots,
	};
	w->entry = (struct stage_entry){ .service = w->program.service, .program = &w->program };
	if (buf_printf(&text, "stage.keys = %s\nstage.poison_dir = %s/poison\nstage.commit_ms = 50ms\nstage.backoff_ms = 1ms\n%s", r->folder,
	               r->folder, settings ? settings : "") != RC_OK)
		abort();
	w->service = fake_service_open(r->loop, &w->entry.service, &conf, stage_rows, text.data);
	if (stage_prepare(w->service, NULL, &self, &err) != RC_OK || stage_start(w->service, self, &err) != RC_OK) {
		fprintf(stderr, "worker: %s: %s\n", err.code, err.text);
		abort();
	}
	w->stage = self;
}

void worker_close(struct worker *w)
{
	stage_close(w->stage);
	fake_service_close(w->service);
	w->held_count = 0;
}

static bool is_drained(void *arg)
{
	struct worker *w = arg;

	return fake_service_drained(w->service);
}

void worker_drain(struct worker *w)
{
	stage_drain(w->stage);
	if (!loop_until(w->rig->loop, is_drained, w, TOY_WAIT_MS))
		abort();
	worker_close(w);
}
