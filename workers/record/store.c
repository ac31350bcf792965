/*
 * store: a flush.
 *
 *   begin; the offset rows in key order, each from the value that we expect; COPY of each table; the ledger; blank what is deleted; commit
 * all queued at once: the first that fails makes the server refuse the rest, and its commit is a rollback.  Then NOTIFY, in a transaction of
 * its own (inside it would serialise all commits).
 *
 * Nobody waits for the row of a request that has not ended: it waits a moment for the next end, which costs a transaction anyhow.
 *
 * A batch is worked off as ranges of items.  A duplicate key runs the range again through temporary tables; another error of class 22 or 23
 * halves it until the one message is found, which becomes a dead letter.  Items of a partition that is no longer ours, or that the database
 * already counts (a commit whose answer was lost), are left out, so running a range again is always right.
 * Offset rows come first and in order, so that two recorders never wait for each other in a ring, and one that was fenced does nothing else.
 */
#include "record.h"

#include <assert.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/mem.h"

#include "rows.h"
#include "store_sql.h"

enum { RANGES_MAX = 64, LINGER_MS = 20, RETRY_MS = 200, FLUSH_MS = 60000, NOTIFY_BYTES = 7900 };

struct range { size_t lo, hi; bool staged; };

struct move {
	struct store *store;
	struct shard *shard;
	int64_t from, to;
	struct sha256 head;
};

struct debt { const char *tenant; int64_t day, results, refused, input, output, cost; };

struct store {
	struct record *r;
	struct batch *batch;       /* being flushed; NULL: none */
	struct range ranges[RANGES_MAX];
	size_t range_count;
	struct buf streams[TABLE_COUNT];
	struct move *moves;
	size_t move_count, move_cap;
	struct debt *debts;
	size_t debt_count, debt_cap;
	struct buf ids, ended;     /* uuid array; hex list */
	bool running;              /* a transaction is on its way */
	bool deleted_any;
	enum rc rc;                /* of its first failure */
	struct err err;
	struct move *failed;       /* the offset row that did not move */
	struct timer *retry;
	int64_t began_us;
	struct metric *flushes, *rows_total[TABLE_COUNT], *seconds, *fenced, *buried, *staged;
};

static void run(struct store *s);

static const struct db_statement move_offset = { "move_offset",
	"with moved as (update airlock.offsets set next = $5::bigint, head = $6, backend_pid = pg_backend_pid()"
	" where topic = $1 and partition = $2::int and owner = $3::uuid and next = $4::bigint returning 1)"
	" select 1 / count(*) from moved" }; /* none moved: 22012 ends the transaction */
/* What a test must notice: whoever writes last is right. */
static const struct db_statement move_blindly = { "move_blindly",
	"update airlock.offsets set next = $5::bigint, head = $6 where topic = $1 and partition = $2::int"
	" and ($3::uuid is not null or $4::bigint is not null)" };
static const struct db_statement look_at_offset = { "look_at_offset",
	"select owner::text, next from airlock.offsets where topic = $1 and partition = $2::int" };
static const struct db_statement add_to_ledger = { "add_to_ledger",
	"insert into airlock.ledger as l values ($1, date 'epoch' + $2::int, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint)"
	" on conflict (tenant, day) do update set results = l.results + excluded.results, refused = l.refused + excluded.refused,"
	" input_tokens = l.input_tokens + excluded.input_tokens, output_tokens = l.output_tokens + excluded.output_tokens,"
	" cost_micro_usd = l.cost_micro_usd + excluded.cost_micro_usd" };
static const struct db_statement blank = { "blank", "select airlock.blank_deleted($1::uuid[])" };
static const struct db_statement notify = { "notify", "select pg_notify('airlock_ended', $1)" };

static struct db_value number(char text[24], int64_t v)
{
	int n = snprintf(text, 24, "%lld", (long long)v);

	return DB_TEXT(slice_of(text, (size_t)n));
}

/* ---- what a range holds -------------------------------------------------------------------------------------------- */

static bool counts(const struct item *it)
{
	return it->generation == it->shard->generation && (it->shard->state == SHARD_OWNED || it->shard->state == SHARD_STALLED) &&
	       it->record.offset >= it->shard->next;
}

static int move_order(const void *a, const void *b)
{
	const struct shard *x = ((const struct move *)a)->shard, *y = ((const struct move *)b)->shard;
	int by_topic = strcmp(x->topic, y->topic);

	return by_topic != 0 ? by_topic : (x->partition > y->partition) - (x->partition < y->partition);
}

static int debt_order(const void *a, const void *b)
{
	const struct debt *x = a, *y = b;
	int by_tenant = strcmp(x->tenant, y->tenant);

	return by_tenant != 0 ? by_tenant : (x->day > y->day) - (x->day < y->day);
}

static struct move *move_of(struct store *s, struct shard *shard)
{
	struct move *m;

	for (size_t i = 0; i < s->move_count; i++) {
		if (s->moves[i].shard == shard)
			return &s->moves[i];
	}
	if (s->move_count == s->move_cap) {
		s->move_cap = s->move_cap ? 2 * s->move_cap : 64;
		s->moves = mem_resize(s->moves, s->move_cap * sizeof(*s->moves));
	}
	m = &s->moves[s->move_count++];
	*m = (struct move){ s, shard, shard->next, shard->next, shard->head };
	return m;
}

/* The chain: each head binds all messages of the partition before it. */
static void move_on(struct move *m, const struct item *it)
{
	unsigned char link[2 * SHA256_BYTES];

	memcpy(link, m->head.bytes, SHA256_BYTES);
	memcpy(link + SHA256_BYTES, it->sha256.bytes, SHA256_BYTES);
	m->head = digest_sha256(slice_of(link, sizeof(link)));
	m->to = it->record.offset + 1;
}

static void owe(struct store *s, const struct item *it)
{
	int64_t day = it->finished_ms / 86400000;
	struct debt *d = NULL;

	for (size_t i = 0; i < s->debt_count && d == NULL; i++) {
		if (s->debts[i].day == day && strcmp(s->debts[i].tenant, it->tenant) == 0)
			d = &s->debts[i];
	}
	if (d == NULL) {
		if (s->debt_count == s->debt_cap) {
			s->debt_cap = s->debt_cap ? 2 * s->debt_cap : 64;
			s->debts = mem_resize(s->debts, s->debt_cap * sizeof(*s->debts));
		}
		d = &s->debts[s->debt_count++];
		*d = (struct debt){ .tenant = it->tenant, .day = day };
	}
	d->results++;
	d->refused += it->refused;
	d->input += it->input_tokens;
	d->output += it->output_tokens;
	d->cost += it->cost_micro_usd;
}

static void name_id(struct store *s, const struct item *it, bool *full)
{
	char text[UUID_TEXT_BYTES];

	uuid_text(&it->id, text);
	*full = *full || buf_printf(&s->ids, "%c%s", s->ids.len == 0 ? '{' : ',', text) != RC_OK;
	if (it->ends) {
		*full = *full || (s->ended.len > 0 && buf_add(&s->ended, ",", 1) != RC_OK) ||
		        buf_add_hex(&s->ended, slice_of(it->id.bytes, UUID_BYTES)) != RC_OK;
	}
}

static void empty(struct store *s)
{
	struct buf *const bufs[] = { &s->ids, &s->ended };

	for (size_t i = 0; i < COUNT_OF(bufs); i++) {
		if (bufs[i]->data != NULL)
			buf_cut(bufs[i], 0);
	}
	for (int t = 0; t < TABLE_COUNT; t++) {
		if (s->streams[t].data != NULL)
			buf_cut(&s->streams[t], 0);
	}
	s->move_count = s->debt_count = 0;
}

/* false: it does not fit. */
static bool collect(struct store *s, const struct range *range, bool *deletes)
{
	bool full = false;

	empty(s);
	*deletes = s->deleted_any;
	for (size_t i = range->lo; i < range->hi && !full; i++) {
		const struct item *it = &s->batch->items[i];

		if (!counts(it))
			continue;
		move_on(move_of(s, it->shard), it);
		for (int t = 0; t < TABLE_COUNT && !full; t++) {
			if (it->rows[t].len == 0)
				continue;
			full = (s->streams[t].len == 0 && copy_begin(&s->streams[t]) != RC_OK) ||
			       buf_add(&s->streams[t], s->batch->rows[t].data + it->rows[t].at, it->rows[t].len) != RC_OK;
		}
		if (it->has_id)
			name_id(s, it, &full);
		if (it->ends && !range->staged)
			owe(s, it);
		*deletes = *deletes || it->deletes;
	}
	full = full || (s->ids.len > 0 && buf_add(&s->ids, "}", 1) != RC_OK);
	for (int t = 0; t < TABLE_COUNT && !full; t++)
		full = s->streams[t].len > 0 && copy_end(&s->streams[t]) != RC_OK;
	if (s->move_count > 0)
		qsort(s->moves, s->move_count, sizeof(*s->moves), move_order);
	if (s->debt_count > 0)
		qsort(s->debts, s->debt_count, sizeof(*s->debts), debt_order);
	return !full;
}

/* ---- the transaction ----------------------------------------------------------------------------------------------- */

static void remember(struct store *s, enum rc rc, const struct err *err)
{
	if (rc != RC_OK && s->rc == RC_OK) {
		s->rc = rc;
		s->err = *err;
	}
}

static void step_done(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	(void)result;
	remember(arg, rc, err);
}

static void copy_done(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	if (rc == RC_OK)
		crash_at(CRASH_FLUSH_COPIED);
	step_done(arg, rc, result, err);
}

static void move_done(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	struct move *m = arg;

	(void)result;
	if (rc != RC_OK && m->store->rc == RC_OK && strcmp(err->code, "22012") == 0)
		m->store->failed = m;
	if (rc == RC_OK)
		crash_at(CRASH_OFFSETS_MOVED);
	remember(m->store, rc, err);
}

static void committed(void *arg, enum rc rc, const struct db_result *result, const struct err *err);

static void send_moves(struct store *s)
{
	for (size_t i = 0; i < s->move_count; i++) {
		struct move *m = &s->moves[i];
		char partition[24], from[24], to[24];
		const struct db_value values[] = {
			DB_TEXT(slice_text(m->shard->topic)), number(partition, m->shard->partition), DB_TEXT(slice_text(s->r->owner)),
			number(from, m->from), number(to, m->to),
			{ .bytes = slice_of(m->head.bytes, SHA256_BYTES), .binary = true },
		};

		db_query(s->r->db, crash_breaks(CRASH_NO_COMPARE) ? &move_blindly : &move_offset, values, COUNT_OF(values), FLUSH_MS, move_done, m);
	}
}

static void send_ledger(struct store *s)
{
	for (size_t i = 0; i < s->debt_count; i++) {
		const struct debt *d = &s->debts[i];
		char n[6][24];
		const struct db_value values[] = {
			DB_TEXT(slice_text(d->tenant)), number(n[0], d->day), number(n[1], d->results), number(n[2], d->refused),
			number(n[3], d->input), number(n[4], d->output), number(n[5], d->cost),
		};

		db_query(s->r->db, &add_to_ledger, values, COUNT_OF(values), FLUSH_MS, step_done, s);
	}
}

static void send_all(struct store *s, const struct range *range, bool deletes)
{
	struct db *db = s->r->db;

	s->rc = RC_OK;
	s->failed = NULL;
	s->running = true;
	s->began_us = clock_mono_us();
	crash_at(CRASH_FLUSH_BEGUN);
	db_exec(db, "begin", FLUSH_MS, step_done, s);
	send_moves(s);
	for (size_t i = 0; range->staged && store_stage[i] != NULL; i++)
		db_exec(db, store_stage[i], FLUSH_MS, step_done, s);
	for (int t = 0; t < TABLE_COUNT; t++) {
		if (s->streams[t].len > 0)
			db_copy(db, rows_copy_sql((enum table)t, range->staged), buf_slice(&s->streams[t]), FLUSH_MS, copy_done, s);
	}
	for (size_t i = 0; range->staged && store_merge[i] != NULL; i++)
		db_exec(db, store_merge[i], FLUSH_MS, step_done, s);
	send_ledger(s);
	if (deletes && s->ids.len > 0) {
		const struct db_value ids = DB_TEXT(buf_slice(&s->ids));

		db_query(db, &blank, &ids, 1, FLUSH_MS, step_done, s);
	}
	db_exec(db, "commit", FLUSH_MS, committed, s);
}

/* ---- afterwards ---------------------------------------------------------------------------------------------------- */

static void notified(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	(void)arg;
	(void)rc; /* who listens looks again by itself every few seconds */
	(void)result;
	(void)err;
}

void store_notify(struct record *r, const char *ids, size_t len)
{
	while (len > 0) {
		size_t n = len;
		struct db_value payload;

		if (n > NOTIFY_BYTES) {
			n = NOTIFY_BYTES;
			while (n > 0 && ids[n] != ',')
				n--;
		}
		payload = DB_TEXT(slice_of(ids, n));
		db_query(r->db, &notify, &payload, 1, QUERY_MS, notified, r);
		ids += n < len ? n + 1 : n;
		len -= n < len ? n + 1 : n;
	}
}

static void flushed(struct store *s)
{
	struct range *range = &s->ranges[s->range_count - 1];

	for (size_t i = range->lo; i < range->hi; i++) {
		/* Known at once, not with the next look: the next message may be of the same request. */
		s->deleted_any = s->deleted_any || (s->batch->items[i].deletes && counts(&s->batch->items[i]));
		for (int t = 0; t < TABLE_COUNT && counts(&s->batch->items[i]); t++)
			metric_add(s->rows_total[t], s->batch->items[i].rows[t].len > 0);
	}
	for (size_t i = 0; i < s->move_count; i++) {
		s->moves[i].shard->next = s->moves[i].to;
		s->moves[i].shard->head = s->moves[i].head;
	}
	metric_add(s->flushes, 1);
	metric_observe(s->seconds, (double)(clock_mono_us() - s->began_us) / 1e6);
	crash_at(CRASH_FLUSH_COMMITTED);
	store_notify(s->r, s->ended.data, s->ended.len);
	crash_at(CRASH_FLUSH_NOTIFIED);
	s->range_count--;
}

/* An offset row did not move: whose is it now? */
static void looked(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	struct store *s = arg;
	struct shard *p = s->failed->shard;
	struct err why;
	int64_t next;

	s->failed = NULL;
	s->running = false;
	if (rc == RC_OK && db_rows(result) == 1 && slice_is(db_field(result, 0, 0), s->r->owner) && db_field_int(result, 0, 1, &next)) {
		(void)err_set(&why, RC_LATER, "offset_moved", "%s %d stands at %lld", p->topic, (int)p->partition, (long long)next);
		record_log(s->r, "reading on from where the database stands", &why);
		p->generation++;
		p->next = p->read_to = next;
		rc = kafka_seek(s->r->consumer, (struct kafka_partition){ p->topic, p->partition }, next >= 0 ? next : KAFKA_LOG_START, &why);
		if (rc != RC_OK)
			record_log(s->r, "cannot seek", &why);
	} else if (rc == RC_OK) {
		(void)err_set(&why, RC_NEVER, "fenced", "%s %d has another owner", p->topic, (int)p->partition);
		record_log(s->r, "another recorder owns this partition: its batch is dropped", &why);
		metric_add(s->fenced, 1);
		p->generation++;
		p->state = SHARD_FENCED;
		p->retry_ms = clock_mono_ms() + 10000;
		kafka_pause(s->r->consumer, (struct kafka_partition){ p->topic, p->partition });
	} else {
		record_log(s->r, "cannot look at an offset", err);
	}
	timer_set(s->retry, rc == RC_OK ? 0 : RETRY_MS);
}

static void ask_who(struct store *s)
{
	char partition[24];
	const struct db_value values[] = { DB_TEXT(slice_text(s->failed->shard->topic)), number(partition, s->failed->shard->partition) };

	s->running = true;
	db_query(s->r->db, &look_at_offset, values, COUNT_OF(values), QUERY_MS, looked, s);
}

static bool is_bad_data(const struct err *err)
{
	return strncmp(err->code, "22", 2) == 0 || strncmp(err->code, "23", 2) == 0;
}

/* Halve the range, or bury the one message it holds. */
static void split(struct store *s)
{
	struct range *range = &s->ranges[s->range_count - 1];
	struct item *it = &s->batch->items[range->lo];
	size_t middle = range->lo + (range->hi - range->lo) / 2;

	if (range->hi - range->lo > 1 && s->range_count < RANGES_MAX) {
		struct range left = { range->lo, middle, range->staged };

		range->lo = middle;
		s->ranges[s->range_count++] = left;
		return;
	}
	if (it->buried || rows_bury(s->r->rows, s->batch, it, &s->err) != RC_OK) {
		s->rc = RC_BROKEN;
		return;
	}
	metric_add(s->buried, 1);
	record_log(s->r, "the database refuses a message: a dead letter now", &s->err);
}

static void committed(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	struct store *s = arg;

	step_done(s, rc, result, err);
	s->running = false;
	if (s->rc == RC_OK) {
		flushed(s);
		run(s);
		return;
	}
	if (s->failed != NULL && db_ready(s->r->db)) {
		ask_who(s);
		return;
	}
	s->failed = NULL;
	if (strcmp(s->err.code, "23505") == 0 && !s->ranges[s->range_count - 1].staged) {
		s->ranges[s->range_count - 1].staged = true;
		metric_add(s->staged, 1);
		run(s);
	} else if (s->rc == RC_NEVER && is_bad_data(&s->err)) {
		split(s);
		if (s->rc == RC_BROKEN)
			service_broken(s->r->service, &s->err);
		else
			run(s);
	} else if (s->rc == RC_LATER) {
		record_log(s->r, "flush did not succeed, trying again", &s->err);
		timer_set(s->retry, RETRY_MS);
	} else {
		service_broken(s->r->service, &s->err);
	}
}

/* ---- from outside -------------------------------------------------------------------------------------------------- */

/* A partition that is being asked for again: wait until it is known where it stands. */
static bool must_wait(const struct store *s, const struct range *range)
{
	for (size_t i = range->lo; i < range->hi; i++) {
		const struct item *it = &s->batch->items[i];

		if (it->generation == it->shard->generation && it->shard->state == SHARD_TAKING)
			return true;
	}
	return false;
}

/* What came is worth no transaction of its own yet. */
static bool lingers(struct store *s)
{
	const struct batch *b = s->r->filling;
	int64_t left = b->began_ms + LINGER_MS - clock_mono_ms();

	if (b->urgent || s->r->paused || left <= 0)
		return false;
	timer_set(s->retry, left);
	return true;
}

static void run(struct store *s)
{
	while (!s->running) {
		struct range *range;
		bool deletes;

		if (s->batch != NULL && s->range_count == 0) {
			batch_clear(s->batch);
			s->batch = NULL;
			record_resume(s->r);
		}
		if (s->batch == NULL) {
			if (s->r->filling->count == 0 || lingers(s))
				return;
			s->batch = s->r->filling;
			s->r->filling = s->batch == &s->r->batches[0] ? &s->r->batches[1] : &s->r->batches[0];
			s->ranges[0] = (struct range){ 0, s->batch->count, false };
			s->range_count = 1;
		}
		range = &s->ranges[s->range_count - 1];
		if (!db_ready(s->r->db) || must_wait(s, range))
			return; /* store_wake() comes */
		if (!collect(s, range, &deletes)) {
			size_t middle = range->lo + (range->hi - range->lo) / 2;
			struct range left = { range->lo, middle, range->staged };

			assert(range->hi - range->lo > 1 && s->range_count < RANGES_MAX);
			range->lo = middle;
			s->ranges[s->range_count++] = left;
			continue;
		}
		if (s->move_count == 0) {
			s->range_count--; /* nothing of it is ours any more */
			continue;
		}
		send_all(s, range, deletes);
	}
}

static void try_again(void *arg)
{
	run(arg);
}

void store_wake(struct store *s)
{
	if (!s->running && (s->batch == NULL || !timer_is_set(s->retry)))
		timer_set(s->retry, 0); /* at the end of this burst: more may come in it */
}

bool store_idle(const struct store *s)
{
	return s->batch == NULL && !s->running && s->r->filling->count == 0;
}

void store_deleted_known(struct store *s, bool any)
{
	s->deleted_any = any;
}

struct store *store_new(struct record *r)
{
	static const char *const labels[TABLE_COUNT] = { "table=\"requests\"", "table=\"results\"", "table=\"held\"", "table=\"dead_letters\"",
		                                         "table=\"alerts\"", "table=\"deleted\"" };
	struct metrics *m = service_metrics(r->service);
	struct store *s = mem_new(sizeof(*s));

	s->r = r;
	s->deleted_any = true; /* until known */
	s->retry = timer_new(r->loop, try_again, s);
	s->ids.max = (size_t)1 << 22;
	s->ended.max = (size_t)1 << 22;
	for (int t = 0; t < TABLE_COUNT; t++) {
		s->streams[t].max = BATCH_COPY_BYTES;
		s->rows_total[t] = metrics_counter(m, "airlock_record_rows_total", labels[t], "Rows committed.");
	}
	s->flushes = metrics_counter(m, "airlock_record_flushes_total", "", "Transactions committed.");
	s->seconds = metrics_histogram(m, "airlock_record_flush_seconds", "", "Time of a flush.", METRICS_SECONDS, METRICS_SECONDS_COUNT);
	s->fenced = metrics_counter(m, "airlock_record_fenced_total", "", "Partitions that another recorder took over.");
	s->buried = metrics_counter(m, "airlock_record_refused_rows_total", "", "Messages that the database refused.");
	s->staged = metrics_counter(m, "airlock_record_duplicate_batches_total", "", "Batches that met a duplicate key.");
	return s;
}

void store_free(struct store *s)
{
	if (s == NULL)
		return;
	timer_free(s->retry);
	for (int t = 0; t < TABLE_COUNT; t++)
		buf_release(&s->streams[t]);
	buf_release(&s->ids);
	buf_release(&s->ended);
	mem_free(s->moves);
	mem_free(s->debts);
	mem_free(s);
}
