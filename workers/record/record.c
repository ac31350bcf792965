/*
 * record: partitions and messages.
 *
 * Kafka's group says which partitions are ours; the row in `offsets` says it again, and decides.  A partition is read only after its row was
 * taken; a predecessor that hangs and still holds it is ended.  When the connection comes back all rows are taken again before a flush goes on.
 * Nothing here waits: messages become rows as they arrive, and store.c flushes what is there.
 */
#include "record.h"

#include "base/base.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/mem.h"

#include "record_main.h"
#include "redrive.h"
#include "rows.h"

enum { TICK_MS = 1000, STALL_MS = 5000, DRAIN_TICK_MS = 50, ROWS_MAX_BYTES = 256 * 1024 * 1024 };

static const struct db_statement take_row = { "take_row",
	"insert into airlock.offsets as o (topic, partition, topic_id, next, owner, backend_pid, taken_at)"
	" values ($1, $2::int, $3, -1, $4::uuid, pg_backend_pid(), now()) on conflict (topic, partition) do update set owner = excluded.owner,"
	" backend_pid = excluded.backend_pid, taken_at = now(), next = case when o.topic_id = excluded.topic_id then o.next else -1 end,"
	" head = case when o.topic_id = excluded.topic_id then o.head else '' end,"
	" caught_up_at = case when o.topic_id = excluded.topic_id then o.caught_up_at else '-infinity' end, topic_id = excluded.topic_id"
	" returning next, encode(head, 'hex')" };
static const struct db_statement end_holder = { "end_holder",
	"select pg_terminate_backend(a.pid) from airlock.offsets o join pg_stat_activity a on a.pid = o.backend_pid"
	" where o.topic = $1 and o.partition = $2::int and a.usename = current_user and a.pid <> pg_backend_pid()" };
/* Only those that are missing: a conflict with a row that a hanging predecessor holds would wait for it. */
static const struct db_statement make_rows = { "make_rows",
	"insert into airlock.offsets (topic, partition, topic_id, next) select $1, g, $2, -1 from generate_series(0, $3::int - 1) g"
	" where not exists (select from airlock.offsets o where o.topic = $1 and o.partition = g) on conflict do nothing" };
static const struct db_statement reset_row = { "reset_row",
	"update airlock.offsets set next = -1, head = '', caught_up_at = '-infinity' where topic = $1 and partition = $2::int and owner = $3::uuid" };

static struct db_value number(char text[24], int64_t v)
{
	int n = snprintf(text, 24, "%lld", (long long)v);

	return DB_TEXT(slice_of(text, (size_t)n));
}

static struct kafka_partition at(const struct shard *p)
{
	return (struct kafka_partition){ p->kafka_topic != NULL ? p->kafka_topic : p->topic, p->partition };
}

struct shard *record_shard(struct record *r, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < r->shard_count; i++) {
		struct shard *p = &r->shards[i];

		if (p->partition == partition && (p->kafka_topic == topic || strcmp(p->topic, topic) == 0))
			return p;
	}
	return NULL;
}

/* ---- taking a row -------------------------------------------------------------------------------------------------- */

static void ended(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	struct shard *p = arg;

	(void)result;
	if (rc == RC_OK)
		record_log(p->record, "ended a predecessor that held a partition", &(struct err){ "ended", "" });
	else
		record_log(p->record, "cannot end the predecessor", err);
	record_take(p);
}

static void start_at(struct shard *p, int64_t next)
{
	struct err err;

	p->generation++;
	p->next = p->read_to = next;
	p->skipped = false;
	p->mark_at_ms = 0;
	if (p->to_start)
		kafka_start(p->record->consumer, at(p), next >= 0 ? next : KAFKA_LOG_START);
	else if (kafka_seek(p->record->consumer, at(p), next >= 0 ? next : KAFKA_LOG_START, &err) != RC_OK)
		record_log(p->record, "cannot seek", &err);
	p->to_start = false;
	kafka_resume(p->record->consumer, at(p));
}

static void taken(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	struct shard *p = arg;
	char partition[24];
	int64_t next;

	if (--p->asked > 0 || p->state != SHARD_TAKING || p->unseen || p->record->consumer == NULL)
		return;
	if (rc == RC_OK && db_rows(result) == 1 && db_field_int(result, 0, 0, &next)) {
		crash_at(CRASH_ROW_TAKEN);
		if (!digest_unhex(db_field(result, 0, 1), &p->head))
			memset(p->head.bytes, 0, SHA256_BYTES); /* no message yet */
		p->state = SHARD_OWNED;
		if (p->to_start || p->skipped || next < p->next || next > p->read_to)
			start_at(p, next);
		p->next = next;
		store_wake(p->record->store);
	} else if (rc == RC_BROKEN) {
		service_broken(p->record->service, err);
	} else if (rc != RC_OK && strcmp(err->code, "55P03") == 0) {
		const struct db_value values[] = { DB_TEXT(slice_text(p->topic)), number(partition, p->partition) };

		db_query(p->record->db, &end_holder, values, COUNT_OF(values), QUERY_MS, ended, p);
	} else if (db_ready(p->record->db)) {
		record_log(p->record, "cannot take a partition, trying again", err);
		p->retry_ms = clock_mono_ms() + TICK_MS;
	} /* else: on_ready asks again */
}

void record_take(struct shard *p)
{
	char partition[24];
	const struct db_value values[] = {
		DB_TEXT(slice_text(p->topic)), number(partition, p->partition),
		{ .bytes = slice_of(p->topic_id, sizeof(p->topic_id)), .binary = true }, DB_TEXT(slice_text(p->record->owner)),
	};

	p->retry_ms = 0;
	if (p->state != SHARD_TAKING || p->unseen)
		return;
	p->asked++;
	crash_at(CRASH_ROW_ASKED);
	db_query(p->record->db, &take_row, values, COUNT_OF(values), QUERY_MS, taken, p);
}

/* ---- Kafka --------------------------------------------------------------------------------------------------------- */

/* topic: any of ours.  NULL: there are too many. */
static struct shard *shard_add(struct record *r, const char *topic, int32_t partition)
{
	struct shard *p = &r->shards[r->shard_count];
	enum topic kind;
	enum lane lane;

	if (!topic_read(slice_text(topic), &kind, &lane))
		return NULL;
	if (r->shard_count == SHARDS_MAX) {
		record_log(r, "too many partitions: one stays unread", &(struct err){ "shards", "" });
		return NULL;
	}
	r->shard_count++;
	*p = (struct shard){ .record = r, .topic = topic_name(kind, lane), .kind = kind, .lane = lane, .partition = partition };
	return p;
}

/* Only the brokers know which log this is: its row is taken after they have said so. */
static void look_first(struct shard *p)
{
	p->unseen = true;
	p->record->look = true;
	timer_set(p->record->tick, 0);
}

static void on_assign(void *arg, struct kafka_partition k, int64_t committed, struct slice metadata)
{
	struct record *r = arg;
	struct shard *p = record_shard(r, k.topic, k.partition);

	(void)committed; /* the row decides */
	(void)metadata;
	if (p == NULL && (p = shard_add(r, k.topic, k.partition)) == NULL)
		return;
	p->kafka_topic = k.topic;
	p->state = SHARD_TAKING;
	p->to_start = true;
	look_first(p); /* a member came or went, or the topic itself did */
}

static void on_revoke(void *arg, struct kafka_partition k, bool lost)
{
	struct record *r = arg;
	struct shard *p = record_shard(r, k.topic, k.partition);

	if (p != NULL) {
		p->state = SHARD_NONE; /* what is on its way to the database decides itself by the row */
		p->generation++;
	}
	if (!lost)
		kafka_release(r->consumer, k);
}

static void pause_all(struct record *r, bool on)
{
	r->paused = on;
	for (size_t i = 0; i < r->shard_count; i++) {
		struct shard *p = &r->shards[i];

		if (p->state == SHARD_OWNED && on)
			kafka_pause(r->consumer, at(p));
		else if (p->state == SHARD_OWNED)
			kafka_resume(r->consumer, at(p));
	}
}

void record_resume(struct record *r)
{
	if (r->paused && !r->draining && r->consumer != NULL && r->filling->count < BATCH_ROWS / 2 && r->filling->bytes < BATCH_BYTES / 2)
		pause_all(r, false);
}

static void stall(struct shard *p, int64_t offset, const struct err *err)
{
	p->state = SHARD_STALLED;
	p->stalled_at = offset;
	p->skipped = true; /* a row that is taken anew is read on from itself, not from here: what is in a batch may not be stored */
	p->retry_ms = clock_mono_ms() + STALL_MS;
	kafka_pause(p->record->consumer, at(p));
	service_ready(p->record->service, "partition", false, err->text);
	record_log(p->record, "partition stopped", err);
}

static struct item *item_new(struct batch *b)
{
	if (b->count == b->cap) {
		b->cap = b->cap ? 2 * b->cap : 256;
		b->items = mem_resize(b->items, b->cap * sizeof(*b->items));
	}
	memset(&b->items[b->count], 0, sizeof(b->items[0]));
	return &b->items[b->count];
}

static void on_record(void *arg, struct kafka_record *k)
{
	struct record *r = arg;
	struct shard *p = record_shard(r, k->at.topic, k->at.partition);
	struct batch *b = r->filling;
	struct item *it;
	struct err err;
	enum rc rc;

	if (p == NULL || p->state != SHARD_OWNED || k->offset < p->read_to) {
		if (p != NULL && k->offset >= p->read_to)
			p->skipped = true; /* while its row is asked for: read again from where the row says */
		kafka_record_free(k);
		return;
	}
	it = item_new(b);
	it->record = *k;
	it->shard = p;
	it->generation = p->generation;
	rc = rows_of(r->rows, b, it, &err);
	if (rc != RC_OK) {
		kafka_record_free(&it->record);
		stall(p, it->record.offset, &err);
		return;
	}
	p->read_to = it->record.offset + 1;
	b->bytes += it->record.bytes.len;
	b->urgent = b->urgent || p->kind != TOPIC_REQUESTS;
	if (b->count++ == 0)
		b->began_ms = clock_mono_ms();
	if (!r->paused && (b->count >= BATCH_ROWS || b->bytes >= BATCH_BYTES))
		pause_all(r, true);
	store_wake(r->store);
}

static void on_error(void *arg, struct kafka_partition k, const struct err *err, bool out_of_log)
{
	struct record *r = arg;
	struct shard *p = k.topic != NULL ? record_shard(r, k.topic, k.partition) : NULL;
	char partition[24];

	if (strcmp(err->code, "kafka_fatal") == 0) { /* its group is gone, or we are out of it: only a new client is let in */
		service_broken(r->service, err);
		return;
	}
	record_log(r, "kafka", err);
	if (out_of_log && p != NULL && p->state == SHARD_OWNED) {
		const struct db_value values[] = { DB_TEXT(slice_text(p->topic)), number(partition, p->partition), DB_TEXT(slice_text(r->owner)) };

		db_query(r->db, &reset_row, values, COUNT_OF(values), QUERY_MS, NULL, NULL);
		p->generation++;
		p->skipped = true;
		p->state = SHARD_TAKING; /* and then from what the row says: the start */
		look_first(p);
	}
}

static enum rc open_consumer(struct record *r, struct err *err)
{
	static const struct kafka_events events = { .on_assign = on_assign, .on_revoke = on_revoke, .on_record = on_record, .on_error = on_error };
	const char *topics[RECORD_TOPICS];
	struct kafka_conf conf;
	size_t n = 0;

	topics[n++] = topic_name(TOPIC_REQUESTS, LANE_INTERACTIVE);
	topics[n++] = topic_name(TOPIC_REQUESTS, LANE_BATCH);
	topics[n++] = topic_name(TOPIC_RESULTS, LANE_INTERACTIVE);
	topics[n++] = topic_name(TOPIC_DEAD, LANE_INTERACTIVE);
	topics[n++] = topic_name(TOPIC_ALERTS, LANE_INTERACTIVE);
	service_kafka_conf(r->service, &conf);
	conf.max_message_bytes = LIMIT_DEAD_BYTES;
	return kafka_consumer_open(r->loop, &conf, conf_text(service_conf(r->service), "record.group"), topics, n, &events, r, &r->consumer, err);
}

/* Every partition has a row, so that "caught up" speaks of all of them. */
static void rows_made(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	struct record *r = arg;
	struct err why;

	(void)result;
	if (rc != RC_OK) {
		record_log(r, "cannot make offset rows", err);
		r->seen_left = -1; /* asks again with the next look, which comes soon */
		r->describe_due_ms = clock_mono_ms() + TICK_MS;
		return;
	}
	if (--r->seen_left == 0 && r->consumer == NULL && !r->draining) {
		r->topics_known = true;
		if (open_consumer(r, &why) != RC_OK)
			service_broken(r->service, &why);
	}
}

static bool is_ours(enum topic t)
{
	return t == TOPIC_REQUESTS || t == TOPIC_RESULTS || t == TOPIC_DEAD || t == TOPIC_ALERTS;
}

static void know(struct record *r, const struct kafka_topic_info *info)
{
	for (int32_t i = 0; i < info->partitions; i++) {
		struct shard *p = record_shard(r, info->name, i);
		bool other;

		if (p == NULL && (p = shard_add(r, info->name, i)) == NULL)
			return;
		other = memcmp(p->topic_id, info->id, sizeof(p->topic_id)) != 0;
		memcpy(p->topic_id, info->id, sizeof(p->topic_id));
		if (other && p->state != SHARD_NONE) {
			p->state = SHARD_TAKING; /* another log under the same name: what was read of it is void */
			p->generation++;
			p->next = INT64_MAX;
			p->unseen = true;
		}
		if (p->unseen) {
			p->unseen = false;
			record_take(p);
		}
	}
}

void record_topics(struct record *r, const struct kafka_topic_info *topics, size_t count)
{
	r->seen_left = 0;
	for (size_t i = 0; i < count; i++) {
		char partitions[24];
		const struct db_value values[] = { DB_TEXT(slice_text(topics[i].name)),
			                           { .bytes = slice_of(topics[i].id, KAFKA_TOPIC_ID_BYTES), .binary = true },
			                           number(partitions, topics[i].partitions) };
		enum topic kind;
		enum lane lane;

		if (!topics[i].exists || !topic_read(slice_text(topics[i].name), &kind, &lane) || !is_ours(kind))
			continue;
		know(r, &topics[i]);
		r->seen_left++;
		db_query(r->db, &make_rows, values, COUNT_OF(values), QUERY_MS, rows_made, r);
	}
}

/* ---- the database -------------------------------------------------------------------------------------------------- */

static void on_ready(void *arg)
{
	struct record *r = arg;

	service_ready(r->service, "database", true, "");
	r->leader = false;
	r->kept_busy = false;
	for (size_t i = 0; i < r->shard_count; i++) {
		struct shard *p = &r->shards[i];

		if (p->state == SHARD_OWNED || p->state == SHARD_STALLED || p->state == SHARD_TAKING) {
			p->state = SHARD_TAKING;
			record_take(p);
		}
	}
	store_wake(r->store);
}

static void on_lost(void *arg, const struct err *err)
{
	struct record *r = arg;

	r->leader = false;
	service_ready(r->service, "database", false, err->text);
	record_log(r, "database", err);
}

static void retry_shards(struct record *r)
{
	int64_t now = clock_mono_ms();
	bool stalled = false;

	for (size_t i = 0; i < r->shard_count; i++) {
		struct shard *p = &r->shards[i];

		if (p->retry_ms == 0 || now < p->retry_ms) {
			stalled = stalled || p->state == SHARD_STALLED;
			continue;
		}
		p->retry_ms = 0;
		if (p->state == SHARD_FENCED) {
			p->state = SHARD_TAKING; /* Kafka still says that it is ours */
			p->read_to = -1;
			p->next = INT64_MAX;
		}
		if (p->state == SHARD_STALLED) {
			struct err err;

			p->state = SHARD_OWNED;
			p->skipped = false;
			if (kafka_seek(r->consumer, at(p), p->stalled_at, &err) != RC_OK)
				record_log(r, "cannot seek", &err);
			kafka_resume(r->consumer, at(p));
		} else {
			record_take(p);
		}
	}
	if (!stalled)
		service_ready(r->service, "partition", true, "");
}

/* For those who watch lag there; we ask the database. */
static void tell_kafka(struct record *r)
{
	struct kafka_commit *list = mem_new_array(r->shard_count, sizeof(*list));
	size_t n = 0;

	for (size_t i = 0; i < r->shard_count; i++) {
		struct shard *p = &r->shards[i];

		if (p->state == SHARD_OWNED && p->next >= 0 && p->next != p->told) {
			list[n++] = (struct kafka_commit){ at(p), p->next, "" };
			p->told = p->next;
		}
	}
	if (n > 0) {
		kafka_commit(r->consumer, list, n, NULL, NULL);
		crash_at(CRASH_FLUSH_TOLD);
	}
	mem_free(list);
}

static void tick(void *arg)
{
	struct record *r = arg;

	timer_set(r->tick, r->draining ? DRAIN_TICK_MS : TICK_MS);
	if (r->draining) {
		/* Without the database nothing can be flushed; what is not in it is read again. */
		if ((store_idle(r->store) || !db_ready(r->db)) && r->consumer != NULL) {
			tell_kafka(r);
			kafka_consumer_close(r->consumer, 3000);
			r->consumer = NULL;
			service_drained(r->service);
		} else if (r->consumer == NULL) {
			service_drained(r->service);
		}
		return;
	}
	if (!db_ready(r->db))
		return;
	if (r->consumer != NULL) {
		tell_kafka(r);
		retry_shards(r);
	}
	keep_tick(r);
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

enum rc record_prepare(struct service *s, const char *argument, void **self, struct err *err)
{
	struct record *r = mem_new(sizeof(*r));
	struct uuid id = uuid_new();
	enum rc rc;

	(void)argument;
	rc = keyring_open(conf_text(service_conf(s), "stage.keys"), PROGRAM_RECORD, &r->keys, err);
	if (rc != RC_OK) {
		mem_free(r);
		return rc;
	}
	r->service = s;
	uuid_text(&id, r->owner);
	*self = r;
	return RC_OK;
}

enum rc record_start(struct service *s, void *self, struct err *err)
{
	static const struct db_events events = { on_ready, on_lost, NULL };
	struct record *r = self;
	const struct conf *conf = service_conf(s);
	struct kafka_conf kafka;
	enum rc rc;

	r->loop = service_loop(s);
	r->grace_ms = conf_int(conf, "record.grace_ms");
	r->hold_ms = conf_int(conf, "record.hold_ms");
	r->rows = rows_new(r->keys, r->hold_ms);
	for (int i = 0; i < 2; i++) {
		for (int t = 0; t < TABLE_COUNT; t++)
			r->batches[i].rows[t].max = ROWS_MAX_BYTES;
	}
	r->filling = &r->batches[0];
	r->store = store_new(r);
	r->redrive = redrive_new(r);
	r->tick = timer_new(r->loop, tick, r);
	timer_set(r->tick, 0);
	service_ready(s, "database", false, "connecting");
	service_kafka_conf(s, &kafka);
	kafka.max_message_bytes = LIMIT_MESSAGE_BYTES;
	rc = kafka_producer_open(r->loop, &kafka, &r->producer, err);
	if (rc == RC_OK)
		rc = db_open(r->loop, conf_text(conf, "database.url"), "airlock-record",
		             "set lock_timeout = '2s'; set client_min_messages = warning; set timezone = 'UTC'", &events, r, &r->db, err);
	return rc;
}

void record_drain(void *self)
{
	struct record *r = self;

	r->draining = true;
	if (r->consumer != NULL)
		pause_all(r, true);
	timer_set(r->tick, 0);
}

void record_close(void *self)
{
	struct record *r = self;

	if (r == NULL)
		return;
	if (r->consumer != NULL)
		kafka_consumer_close(r->consumer, 1000);
	r->consumer = NULL;
	if (r->producer != NULL)
		kafka_producer_close(r->producer, 1000);
	db_close(r->db);
	store_free(r->store);
	redrive_free(r->redrive);
	timer_free(r->tick);
	for (int i = 0; i < 2; i++) {
		batch_clear(&r->batches[i]);
		for (int t = 0; t < TABLE_COUNT; t++)
			buf_release(&r->batches[i].rows[t]);
		mem_free(r->batches[i].items);
	}
	rows_free(r->rows);
	keyring_free(r->keys);
	mem_free(r);
}
