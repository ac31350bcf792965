/*
 * redrive: publishes stored requests again, a page at a time.
 *
 *   repair   lost_logs: begin (or go on with) a pass, then page by page in order of ids, noting how far it came, until a page is empty
 *   wish     redrive: a page of those that somebody wants sent; each gets its outcome
 * Which requests, and when all is known that could have ended one, migrations/0008 says.  Only the leader comes here; the owner in lost_logs
 * is compared when progress is noted, so a leader that lost its connection stops at the end of its page.
 * A page is noted after its last acknowledgement.  Killed in between, its requests are sent once more: the first result counts, as always.
 */
#include "redrive.h"

#include "base/base.h"
#include "base/mem.h"

#include "model/message.h"
#include "model/request.h"

enum { PAGE = 64, PASS_BYTES = 64, IDS_BYTES = PAGE * (UUID_ARRAY_ONE + 1), OUTCOME_BYTES = 16 };

enum fate { FATE_KEPT, FATE_WAITS, FATE_SENT, FATE_FAILED }; /* KEPT: nothing to send */

struct resent {
	struct redrive *redrive;
	char id[UUID_TEXT_BYTES];
	char outcome[OUTCOME_BYTES];
	enum fate fate;
};

struct redrive {
	struct record *record;
	bool busy;                  /* a question or a page is on its way */
	bool wish;
	char pass[PASS_BYTES], after[UUID_TEXT_BYTES];
	struct resent page[PAGE];
	size_t count, open;         /* open: acknowledgements that are awaited */
	struct request request;     /* scratch: large */
	struct message message;
	struct metric *total[2];
};

static const struct db_statement repair_begin = { "repair_begin", "select pass::text, after::text from airlock.repair_begin($1::uuid)" };
static const struct db_statement repair_page = { "repair_page",
	"select id, 'sent', message from airlock.repair_page($1::timestamptz, nullif($2, '')::uuid, $3::int)" };
static const struct db_statement repair_note = { "repair_note",
	"select airlock.repair_note($1::timestamptz, $2::uuid, $3::uuid, $4::int)::int" };
static const struct db_statement repair_done = { "repair_done", "select airlock.repair_done($1::timestamptz, $2::uuid)" };
static const struct db_statement redrive_page = { "redrive_page", "select id, outcome, message from airlock.redrive_page($1::int)" };
static const struct db_statement redrive_done = { "redrive_done", "select airlock.redrive_done($1::uuid[], $2::text[])" };

static struct db_value number(char text[24], int64_t v)
{
	int n = snprintf(text, 24, "%lld", (long long)v);

	return DB_TEXT(slice_of(text, (size_t)n));
}

/* Nothing more now; the next tick looks again. */
static void rest(struct redrive *d)
{
	d->busy = false;
}

static bool may_go_on(struct redrive *d, enum rc rc, const struct err *err)
{
	if (rc != RC_OK)
		record_log(d->record, "sending requests again is interrupted", err);
	if (rc == RC_OK && d->record->leader && !d->record->draining)
		return true;
	rest(d);
	return false;
}

static void ask_page(struct redrive *d);

/* ---- what was sent is noted ---------------------------------------------------------------------------------------- */

static void noted(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	struct redrive *d = arg;
	int64_t ours = 1;

	if (!may_go_on(d, rc, err))
		return;
	if (!d->wish && (db_rows(result) != 1 || !db_field_int(result, 0, 0, &ours) || ours != 1)) {
		rest(d); /* another goes on with this pass */
		return;
	}
	for (size_t i = 0; i < d->count; i++) {
		if (d->page[i].fate == FATE_FAILED) {
			rest(d); /* a broker that is away: not again in the same breath */
			return;
		}
	}
	ask_page(d);
}

static void note_repair(struct redrive *d)
{
	char sent[24];
	struct db_value values[4];
	int64_t n = 0;
	size_t end = 0;

	/* Up to the first that failed; the few behind it that were acknowledged go again with the next page. */
	for (; end < d->count && d->page[end].fate != FATE_FAILED; end++)
		n += d->page[end].fate == FATE_SENT;
	if (end == 0) {
		rest(d);
		return;
	}
	memcpy(d->after, d->page[end - 1].id, sizeof(d->after));
	values[0] = DB_TEXT(slice_text(d->pass));
	values[1] = DB_TEXT(slice_text(d->record->owner));
	values[2] = DB_TEXT(slice_text(d->after));
	values[3] = number(sent, n);
	db_query(d->record->db, &repair_note, values, COUNT_OF(values), QUERY_MS, noted, d);
}

static void note_wishes(struct redrive *d)
{
	AUTO_BUF struct buf ids = BUF_INIT(IDS_BYTES), outcomes = BUF_INIT(IDS_BYTES);
	struct db_value values[2];
	enum rc rc = RC_OK;

	for (size_t i = 0; i < d->count && rc == RC_OK; i++) {
		char sep = ids.len == 0 ? '{' : ',';

		if (d->page[i].fate == FATE_FAILED)
			continue;
		rc = buf_printf(&ids, "%c%s", sep, d->page[i].id);
		if (rc == RC_OK)
			rc = buf_printf(&outcomes, "%c%s", sep, d->page[i].outcome);
	}
	if (ids.len == 0 || rc != RC_OK || buf_add(&ids, "}", 1) != RC_OK || buf_add(&outcomes, "}", 1) != RC_OK) {
		rest(d);
		return;
	}
	values[0] = DB_TEXT(buf_slice(&ids));
	values[1] = DB_TEXT(buf_slice(&outcomes));
	db_query(d->record->db, &redrive_done, values, COUNT_OF(values), QUERY_MS, noted, d);
}

static void note(struct redrive *d)
{
	if (d->wish)
		note_wishes(d);
	else
		note_repair(d);
}

/* ---- a page is published ------------------------------------------------------------------------------------------- */

static void published(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	struct resent *one = arg;
	struct redrive *d = one->redrive;

	(void)partition;
	(void)offset;
	one->fate = rc == RC_OK ? FATE_SENT : FATE_FAILED;
	if (rc == RC_OK)
		metric_add(d->total[d->wish], 1);
	else
		record_log(d->record, "a request could not be sent again, trying later", err);
	if (--d->open == 0)
		note(d);
}

/* The bytes as they are, under the headers that line 1 asks for. */
static enum rc publish(struct redrive *d, struct resent *one, struct slice bytes, struct err *err)
{
	const struct request *r = &d->request;
	char deadline[24], version[24];
	struct kafka_header headers[4] = { { SLICE_LITERAL("airlock-version"), number(version, MESSAGE_VERSION).bytes } };
	struct kafka_message m = { .partition = -1, .bytes = bytes, .headers = headers, .header_count = 3, .run = topic_spec(TOPIC_REQUESTS)->run };
	enum rc rc = message_read(bytes, &d->message, err);

	if (rc == RC_OK && (d->message.count != 1 || d->message.entries[0].kind != KIND_REQUEST))
		rc = err_set(err, RC_NEVER, "message_kind", "no request alone");
	if (rc == RC_OK)
		rc = request_read(d->message.entries[0].line, &d->request, err);
	if (rc != RC_OK)
		return rc;
	headers[1] = (struct kafka_header){ SLICE_LITERAL("airlock-tenant"), r->tenant };
	headers[2] = (struct kafka_header){ SLICE_LITERAL("airlock-deadline"), number(deadline, r->deadline_ms).bytes };
	if (r->traceparent.len > 0)
		headers[m.header_count++] = (struct kafka_header){ SLICE_LITERAL("traceparent"), r->traceparent };
	m.topic = topic_name(TOPIC_REQUESTS, r->lane);
	m.key = r->id_text;
	rc = kafka_publish(d->record->producer, &m, published, one, err);
	request_release(&d->request);
	return rc;
}

static void send_one(struct redrive *d, struct resent *one, struct slice message)
{
	struct err err;
	enum rc rc = publish(d, one, message, &err);

	if (rc == RC_OK) {
		one->fate = FATE_WAITS;
		d->open++;
	} else if (rc == RC_LATER) {
		one->fate = FATE_FAILED; /* the queue is full */
	} else {
		(void)snprintf(one->outcome, sizeof(one->outcome), "unreadable");
		record_log(d->record, "a stored request cannot be sent again", &err);
	}
}

static void done(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	struct redrive *d = arg;

	(void)result;
	if (may_go_on(d, rc, err))
		rest(d);
}

static void page_read(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	struct redrive *d = arg;
	const struct db_value values[] = { DB_TEXT(slice_text(d->pass)), DB_TEXT(slice_text(d->record->owner)) };

	if (!may_go_on(d, rc, err))
		return;
	d->count = db_rows(result) < PAGE ? db_rows(result) : PAGE;
	if (d->count == 0 && d->wish) {
		rest(d);
		return;
	}
	if (d->count == 0) {
		db_query(d->record->db, &repair_done, values, COUNT_OF(values), QUERY_MS, done, d);
		return;
	}
	d->open = 1; /* ours, so that the last acknowledgement cannot come before the last of the page */
	for (size_t i = 0; i < d->count; i++) {
		struct resent *one = &d->page[i];
		struct slice id = db_field(result, i, 0), outcome = db_field(result, i, 1);

		*one = (struct resent){ .redrive = d };
		(void)snprintf(one->id, sizeof(one->id), "%.*s", (int)id.len, id.ptr);
		(void)snprintf(one->outcome, sizeof(one->outcome), "%.*s", (int)outcome.len, outcome.ptr);
		if (!db_null(result, i, 2))
			send_one(d, one, db_field(result, i, 2));
	}
	if (--d->open == 0)
		note(d);
}

static void ask_page(struct redrive *d)
{
	char most[24];
	const struct db_value repair[] = { DB_TEXT(slice_text(d->pass)), DB_TEXT(slice_text(d->after)), number(most, PAGE) };

	if (d->wish)
		db_query(d->record->db, &redrive_page, &repair[2], 1, QUERY_MS, page_read, d);
	else
		db_query(d->record->db, &repair_page, repair, COUNT_OF(repair), QUERY_MS, page_read, d);
}

/* ---- begin --------------------------------------------------------------------------------------------------------- */

static void begun(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	struct redrive *d = arg;

	if (!may_go_on(d, rc, err))
		return;
	d->wish = db_rows(result) == 0; /* no repair: is something wished? */
	if (!d->wish) {
		struct slice pass = db_field(result, 0, 0), after = db_field(result, 0, 1);

		(void)snprintf(d->pass, sizeof(d->pass), "%.*s", (int)pass.len, pass.ptr);
		(void)snprintf(d->after, sizeof(d->after), "%.*s", (int)after.len, after.ptr);
	}
	ask_page(d);
}

void redrive_tick(struct redrive *d)
{
	const struct db_value me = DB_TEXT(slice_text(d->record->owner));

	/* While a topic is missing, what is sent could be lost at once, and its loss is still to be noticed. */
	if (d->busy || !d->record->topics_whole)
		return;
	d->busy = true;
	db_query(d->record->db, &repair_begin, &me, 1, QUERY_MS, begun, d);
}

struct redrive *redrive_new(struct record *r)
{
	struct metrics *m = service_metrics(r->service);
	struct redrive *d = mem_new(sizeof(*d));

	d->record = r;
	d->total[false] = metrics_counter(m, "airlock_record_resent_total", "why=\"lost_log\"", "Stored requests published again.");
	d->total[true] = metrics_counter(m, "airlock_record_resent_total", "why=\"wanted\"", "Stored requests published again.");
	return d;
}

void redrive_free(struct redrive *d)
{
	mem_free(d);
}
