/*
 * keep: what is repeated, each second or slower.  All recorders: partitions of the tables, ids of topics, how far they are caught up.  The one
 * that holds the advisory lock: ends what passed its deadline and blanks what was deleted, so that it is done once.
 */
#include "record.h"

#include "base/base.h"
#include "base/clock.h"
#include "base/mem.h"

#include "redrive.h"
#include "rows.h"

enum { DESCRIBE_MS = 60000, PARTITIONS_MS = 3600000, EXPIRE_MS = 2000, ASK_MS = 10000 };

static const struct db_statement make_partitions = { "make_partitions", "select airlock.partitions_make(3)" };
static const struct db_statement topic_seen = { "topic_seen", "select airlock.topic_seen($1, $2, $3::int)" };
/* The leader says in `marks` that it lives.  One that hangs keeps its lock: when the mark is old, its connection is ended. */
#define LEADER_KEY "hashtext('airlock.record.leader')"
#define LEADER_MARK "on conflict (name) do update set at = excluded.at"
static const struct db_statement lead = { "lead",
	"with l as (select pg_try_advisory_lock(" LEADER_KEY ") as ok),"
	" m as (insert into airlock.marks select 'leader', now() from l where ok " LEADER_MARK ") select ok::int from l" };
static const struct db_statement leader_lives = { "leader_lives", "insert into airlock.marks values ('leader', now()) " LEADER_MARK };
static const struct db_statement end_leader = { "end_leader",
	"select pg_terminate_backend(a.pid) from pg_locks l join pg_stat_activity a on a.pid = l.pid where l.locktype = 'advisory' and l.granted"
	" and l.database = (select oid from pg_database where datname = current_database()) and l.objsubid = 1"
	" and (l.classid::bigint << 32 | l.objid::bigint) = " LEADER_KEY "::bigint and a.usename = current_user and a.pid <> pg_backend_pid()"
	" and exists (select from airlock.marks where name = 'leader' and at < now() - interval '30 seconds')" };
static const struct db_statement any_deleted = { "any_deleted",
	"select case when exists (select from airlock.deleted where at > now() - interval '9 days') then 1 else 0 end" };
static const struct db_statement expire = { "expire",
	"select replace(id::text, '-', '') from airlock.expire((select min(at) from airlock.caught_up where topic = any"
	" ('{airlock.requests,airlock.requests.batch,airlock.results,airlock.dead}')) - $1::bigint * interval '1 ms', 1000) id" };
static const struct db_statement blank_late = { "blank_late",
	"select airlock.blank_deleted(array(select id from airlock.deleted where at > now() - interval '10 minutes' limit 10000))" };
static const struct db_statement caught_up = { "caught_up",
	"update airlock.offsets o set caught_up_at = to_timestamp(v.at / 1000.0) from unnest($2::text[], $3::int[], $4::bigint[]) v(topic, partition, at)"
	" where o.topic = v.topic and o.partition = v.partition and o.owner = $1::uuid" };

static const struct db_statement more_alerts = { "more_alerts",
	"insert into airlock.alerts (at, by_program, severity, code, text)"
	" values (now(), 'record', 'warning', $1, $2::bigint || ' more within a minute: ' || $3)" };

static struct db_value number(char text[24], int64_t v)
{
	int n = snprintf(text, 24, "%lld", (long long)v);

	return DB_TEXT(slice_of(text, (size_t)n));
}

static void logged(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	(void)result;
	if (rc != RC_OK)
		record_log(arg, "a repeated task did not succeed", err);
}

static void describe_done(void *arg, enum rc rc, const struct kafka_topic_info *topics, size_t count, const struct err *err)
{
	struct record *r = arg;
	bool all = true;

	r->describing = false;
	r->topics_whole = false;
	if (rc != RC_OK) {
		service_ready(r->service, "kafka", false, err->text);
		r->describe_due_ms = clock_mono_ms() + 1000;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		char partitions[24];
		const struct db_value values[] = { DB_TEXT(slice_text(topics[i].name)),
			                           { .bytes = slice_of(topics[i].id, KAFKA_TOPIC_ID_BYTES), .binary = true },
			                           number(partitions, topics[i].partitions) };

		all = all && topics[i].exists;
		if (topics[i].exists)
			db_query(r->db, &topic_seen, values, COUNT_OF(values), QUERY_MS, logged, r);
	}
	service_ready(r->service, "kafka", all, "topics are missing: airlock topics makes them");
	r->describe_due_ms = clock_mono_ms() + (all ? DESCRIBE_MS : 1000);
	r->topics_whole = all;
	if (all)
		record_topics(r, topics, count);
}

static void describe(struct record *r)
{
	const char *names[TOPIC_COUNT * LANE_COUNT];
	size_t n = 0;

	for (int t = 0; t < TOPIC_COUNT; t++) {
		for (int l = 0; l < (topic_has_lanes((enum topic)t) ? LANE_COUNT : 1); l++)
			names[n++] = topic_name((enum topic)t, (enum lane)l);
	}
	r->describing = true;
	kafka_describe(r->producer, names, n, ASK_MS, describe_done, r);
}

/* ---- caught up ----------------------------------------------------------------------------------------------------- */

static void send_caught_up(struct record *r)
{
	AUTO_BUF struct buf topics = BUF_INIT(1 << 20), partitions = BUF_INIT(1 << 20), times = BUF_INIT(1 << 20);
	struct db_value values[4];
	enum rc rc = RC_OK;

	for (size_t i = 0; i < r->shard_count && rc == RC_OK; i++) {
		struct shard *p = &r->shards[i];
		char sep = topics.len == 0 ? '{' : ',';

		if (p->state != SHARD_OWNED || p->mark_at_ms == 0 || (p->mark_end > 0 && p->next < p->mark_end))
			continue;
		rc = buf_printf(&topics, "%c%s", sep, p->topic);
		if (rc == RC_OK)
			rc = buf_printf(&partitions, "%c%d", sep, (int)p->partition);
		if (rc == RC_OK)
			rc = buf_printf(&times, "%c%lld", sep, (long long)p->mark_at_ms);
		p->mark_at_ms = 0;
	}
	if (topics.len == 0 || rc != RC_OK || buf_add(&topics, "}", 1) != RC_OK || buf_add(&partitions, "}", 1) != RC_OK ||
	    buf_add(&times, "}", 1) != RC_OK)
		return;
	values[0] = DB_TEXT(slice_text(r->owner));
	values[1] = DB_TEXT(buf_slice(&topics));
	values[2] = DB_TEXT(buf_slice(&partitions));
	values[3] = DB_TEXT(buf_slice(&times));
	db_query(r->db, &caught_up, values, COUNT_OF(values), QUERY_MS, logged, r);
}

struct asked { struct record *r; int64_t at_ms; };

/* Do the brokers still have what we know of?  A partition more, or an end before our place: another look first. */
static bool is_known(struct record *r, const struct kafka_range *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct shard *p = record_shard(r, list[i].topic, list[i].partition);

		if (p == NULL || (p->state == SHARD_OWNED && p->next > list[i].end)) {
			r->look = true;
			return false;
		}
	}
	return true;
}

static void ranges(void *arg, enum rc rc, const struct kafka_range *list, size_t count, const struct err *err)
{
	struct asked *a = arg;
	struct record *r = a->r;

	(void)err;
	r->ranges_asked = false;
	if (rc != RC_OK || !is_known(r, list, count))
		count = 0;
	for (size_t i = 0; i < count; i++) {
		struct shard *p = record_shard(r, list[i].topic, list[i].partition);

		if (p->state == SHARD_OWNED && p->mark_at_ms == 0) {
			p->mark_at_ms = a->at_ms;
			p->mark_end = list[i].begin == list[i].end ? 0 : list[i].end;
		}
	}
	mem_free(a);
	if (db_ready(r->db))
		send_caught_up(r);
}

static void ask_ranges(struct record *r)
{
	const char *const topics[] = { topic_name(TOPIC_REQUESTS, LANE_INTERACTIVE), topic_name(TOPIC_REQUESTS, LANE_BATCH),
		                       topic_name(TOPIC_RESULTS, LANE_INTERACTIVE), topic_name(TOPIC_DEAD, LANE_INTERACTIVE) };
	struct asked *a = mem_new(sizeof(*a));

	*a = (struct asked){ r, clock_wall_ms() };
	r->ranges_asked = true;
	kafka_log_ranges(r->producer, topics, COUNT_OF(topics), ASK_MS, ranges, a);
}

/* ---- the leader ---------------------------------------------------------------------------------------------------- */

static void expired(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	struct record *r = arg;
	AUTO_BUF struct buf ids = BUF_INIT(1 << 20);

	logged(arg, rc, result, err);
	for (size_t i = 0; rc == RC_OK && i < db_rows(result); i++) {
		if ((i > 0 && buf_add(&ids, ",", 1) != RC_OK) || buf_add_slice(&ids, db_field(result, i, 0)) != RC_OK)
			break; /* who waits looks again by itself */
	}
	store_notify(r, ids.data, ids.len);
}

static void led(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	struct record *r = arg;
	int64_t yes = 0;

	logged(arg, rc, result, err);
	r->leader = rc == RC_OK && db_rows(result) == 1 && db_field_int(result, 0, 0, &yes) && yes == 1;
}

static void deleted(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	struct record *r = arg;
	int64_t yes = 1;

	logged(arg, rc, result, err);
	if (rc == RC_OK && db_field_int(result, 0, 0, &yes))
		store_deleted_known(r->store, yes == 1);
}

static void tell_held_back(struct record *r)
{
	struct held_back more;
	char count[24];

	while (rows_held_back(r->rows, clock_wall_ms(), &more)) {
		const struct db_value values[] = { DB_TEXT(slice_text(more.alert)), number(count, more.count), DB_TEXT(slice_text(more.why)) };

		db_query(r->db, &more_alerts, values, COUNT_OF(values), QUERY_MS, logged, r);
	}
}

void keep_tick(struct record *r)
{
	int64_t now = clock_mono_ms();
	char grace[24];

	if (now >= r->partitions_due_ms) {
		r->partitions_due_ms = now + PARTITIONS_MS;
		db_query(r->db, &make_partitions, NULL, 0, QUERY_MS, logged, r);
	}
	if (!r->describing && (r->look || now >= r->describe_due_ms)) {
		r->look = false;
		describe(r);
	}
	if (r->consumer == NULL)
		return;
	if (!r->ranges_asked)
		ask_ranges(r);
	tell_held_back(r);
	db_query(r->db, &any_deleted, NULL, 0, QUERY_MS, deleted, r);
	if (now < r->expire_due_ms)
		return;
	r->expire_due_ms = now + EXPIRE_MS;
	if (!r->leader) {
		db_query(r->db, &end_leader, NULL, 0, QUERY_MS, logged, r);
		db_query(r->db, &lead, NULL, 0, QUERY_MS, led, r);
	} else {
		const struct db_value value = number(grace, r->grace_ms);

		db_query(r->db, &leader_lives, NULL, 0, QUERY_MS, logged, r);
		db_query(r->db, &expire, &value, 1, QUERY_MS, expired, r);
		db_query(r->db, &blank_late, NULL, 0, QUERY_MS, logged, r);
		redrive_tick(r->redrive);
	}
}
