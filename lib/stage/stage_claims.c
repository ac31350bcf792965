/*
 * stage_claims: partitions come and go, are paused and resumed, and what is done of them is committed.
 *
 * On revoke nothing new is taken from the partition; what has begun may finish for the grace; then map and offset are committed and the
 * partition is let go.  What is left after the grace is stopped, publishes nothing, and its offsets stay open for the next owner.
 * A lost partition is dropped at once: the next owner already has it.
 */
#include "stage/stage_internal.h"

#include <assert.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"

enum { COMPLAIN_EVERY_MS = 5000 };

struct claim *stage_claim(struct lane_state *l, int32_t number)
{
	size_t need = (size_t)number + 1;

	assert(number >= 0);
	if (need > l->part_count) {
		l->parts = mem_resize(l->parts, need * sizeof(struct claim *));
		memset(l->parts + l->part_count, 0, (need - l->part_count) * sizeof(struct claim *));
		l->part_count = need;
	}
	if (!l->parts[number]) {
		l->parts[number] = mem_new(sizeof(struct claim));
		l->parts[number]->lane = l;
		l->parts[number]->number = number;
		l->parts[number]->seek_to = -1;
	}
	return l->parts[number];
}

static struct kafka_partition at_of(const struct claim *c)
{
	return (struct kafka_partition){ c->lane->topic, c->number };
}

static void complain(struct stage *s, const char *what, const struct err *err, int32_t partition)
{
	int64_t now = loop_now_ms(s->loop);

	if (s->complained_ms && now - s->complained_ms < COMPLAIN_EVERY_MS)
		return; /* a broker that is away says so many times a second */
	s->complained_ms = now;
	log_line(LOG_WARN, what, LOG_T("code", err->code), LOG_T("why", err->text), LOG_I("partition", partition));
}

/* ---- flow ---- */

void claim_flow(struct claim *c)
{
	struct stage *s = c->lane->stage;
	bool want = c->lane->paused || c->full || c->blocked || c->stopped || s->draining;
	struct err err;

	if (c->state != CLAIM_OURS || want == c->paused)
		return;
	c->paused = want;
	if (want) {
		kafka_pause(c->lane->consumer, at_of(c));
		return;
	}
	if (c->seek_to >= 0 && kafka_seek(c->lane->consumer, at_of(c), c->seek_to, &err) != RC_OK)
		complain(s, "seek fails", &err, c->number); /* it was just taken away */
	c->seek_to = -1;
	kafka_resume(c->lane->consumer, at_of(c));
}

static void flow_all(struct lane_state *l)
{
	for (size_t i = 0; i < l->part_count; i++) {
		if (l->parts[i])
			claim_flow(l->parts[i]);
	}
}

void lane_flow(struct lane_state *l)
{
	const struct stage *s = l->stage;
	size_t count = l->waiting.count + l->ready_count + l->backoff_count;
	int64_t bytes_max = l->lane == LANE_BATCH ? s->bytes_max / 4 * 3 : s->bytes_max; /* some is kept for the interactive lane */
	bool high = count >= s->waiting_max || s->bytes >= bytes_max;
	bool low = count <= s->waiting_max / 2 && s->bytes <= bytes_max / 2;

	if (l->paused ? !low : !high)
		return;
	l->paused = !l->paused;
	metric_set(s->paused_metric, s->lanes[LANE_INTERACTIVE].paused + s->lanes[LANE_BATCH].paused);
	flow_all(l);
}

void claim_stop(struct claim *c, const struct err *err)
{
	char text[ERR_TEXT_BYTES];

	if (c->stopped)
		return;
	c->stopped = true;
	claim_flow(c);
	(void)snprintf(text, sizeof(text), "upgrade me: %s [%d]: %.300s", c->lane->topic, (int)c->number, err->text); /* cut to fit */
	service_ready(c->lane->stage->service, "version", false, text);
	stage_alert(c->lane->stage, "version_newer", text);
}

/* ---- what is in hand of a partition ---- */

/* Not begun: freed, open for the next owner. */
static void drop_waiting(struct claim *c)
{
	struct stage *s = c->lane->stage;
	struct held_list keep = { 0 };
	struct held *h;

	while ((h = held_pop(&c->lane->waiting))) {
		if (h->part == c)
			held_free(s, h);
		else
			held_push(&keep, h);
	}
	c->lane->waiting = keep;
	if (!keep.first)
		c->lane->waiting.last = &c->lane->waiting.first;
	for (struct work *w = s->works, *next; w; w = next) {
		next = w->next;
		if (w->part == c && (w->job.state == JOB_WAITING || w->job.state == JOB_BACKOFF))
			work_stop(w, STOP_TAKEN);
	}
}

/* Whatever is in hand is nobody's from now on. */
static void disown(struct claim *c)
{
	struct stage *s = c->lane->stage;

	drop_waiting(c);
	c->gen++;
	c->begun = 0;
	for (struct work *w = s->works, *next; w; w = next) {
		next = w->next;
		if (w->part == c && w->gen != c->gen)
			work_stop(w, STOP_TAKEN);
	}
	stage_pump_soon(s);
}

void claim_begin_anew(struct claim *c)
{
	struct err err;

	disown(c);
	window_init(&c->window, WINDOW_UNKNOWN);
	c->dirty = false;
	c->full = false;
	c->seek_to = -1;
	if (kafka_seek(c->lane->consumer, at_of(c), KAFKA_LOG_START, &err) != RC_OK)
		complain(c->lane->stage, "seek fails", &err, c->number); /* taken away: its next owner looks for himself */
	claim_flow(c);
}

/* ---- commits ---- */

static void on_committed(void *arg, struct kafka_partition p, int64_t offset, enum rc rc, const struct err *err)
{
	struct lane_state *l = arg;
	struct claim *c = stage_claim(l, p.partition);

	assert(l->commits_open > 0);
	l->commits_open--;
	crash_at(CRASH_COMMIT_ANSWERED);
	if (rc == RC_OK) {
		struct poison_at at = { .offset = offset, .partition = p.partition };

		memcpy(at.topic_id, l->topic_id, sizeof(at.topic_id));
		poison_forget(l->stage->poison, &at); /* not before: until now it may come again */
	} else {
		metric_add(l->stage->commit_failures, 1);
		complain(l->stage, "commit fails", err, p.partition);
		c->dirty = c->state == CLAIM_OURS;
	}
	stage_maybe_drained(l->stage);
}

static bool wants_commit(const struct claim *c)
{
	return c && c->dirty && (c->state == CLAIM_OURS || c->state == CLAIM_REVOKING) && c->window.base >= 0;
}

static size_t commit(struct lane_state *l, struct claim *const *list, size_t count)
{
	struct kafka_commit *rows = mem_new_array(count, sizeof(*rows));
	struct buf *maps = mem_new_array(count, sizeof(*maps));
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		struct claim *c = list[i];
		enum rc rc;

		if (!wants_commit(c))
			continue;
		maps[n] = (struct buf)BUF_INIT(LIMIT_COMMIT_METADATA_BYTES);
		rc = window_write(&c->window, l->topic_id, &maps[n]);
		assert(rc == RC_OK); /* at most 2,756 characters */
		(void)rc;            /* NDEBUG */
		metric_set(l->stage->map_bytes, (double)maps[n].len);
		rows[n] = (struct kafka_commit){ at_of(c), c->window.base, maps[n].data };
		c->dirty = false;
		n++;
	}
	l->commits_open += n;
	if (n > 0) {
		crash_at(CRASH_COMMIT_BEGUN);
		kafka_commit(l->consumer, rows, n, on_committed, l);
		crash_at(CRASH_COMMIT_SENT);
	}
	for (size_t i = 0; i < n; i++)
		buf_release(&maps[i]);
	mem_free(maps);
	mem_free(rows);
	return n;
}

size_t claims_commit(struct lane_state *l)
{
	if (l->commits_open > 0 || !l->consumer || l->part_count == 0)
		return 0;
	return commit(l, l->parts, l->part_count);
}

/* ---- partitions come ---- */

static int64_t where_to_start(struct claim *c, int64_t committed, struct slice metadata)
{
	struct lane_state *l = c->lane;
	char text[ERR_TEXT_BYTES];
	struct err err;

	window_init(&c->window, WINDOW_UNKNOWN);
	if (committed < 0)
		return KAFKA_LOG_START;
	if (window_read(metadata, l->topic_id, committed, &c->window, &err) == RC_OK)
		return c->window.base;
	(void)snprintf(text, sizeof(text), "%s [%d]: %.300s", l->topic, (int)c->number, err.text); /* cut to fit */
	stage_alert(l->stage, err.code, text);
	if (strcmp(err.code, "map_other_topic") != 0)
		return committed;
	window_init(&c->window, WINDOW_UNKNOWN);
	return KAFKA_LOG_START;
}

static void on_assign(void *arg, struct kafka_partition p, int64_t committed, struct slice metadata)
{
	struct lane_state *l = arg;
	struct claim *c = stage_claim(l, p.partition);

	disown(c);
	c->state = CLAIM_OURS;
	c->dirty = c->full = c->stopped = c->blocked = c->paused = false;
	c->seek_to = -1;
	if (l->stage->summed_ms != loop_now_ms(l->stage->loop)) { /* once for all partitions of an assignment */
		l->stage->summed_ms = loop_now_ms(l->stage->loop);
		poison_sum(l->stage->poison);
	}
	kafka_start(l->consumer, p, where_to_start(c, committed, metadata));
	claim_flow(c);
	log_line(LOG_INFO, "partition is ours", LOG_T("topic", l->topic), LOG_I("partition", p.partition), LOG_I("committed", committed),
	         LOG_I("map_bytes", metadata.len));
}

/* ---- partitions go ---- */

void claim_let_go(struct claim *c)
{
	if (c->state != CLAIM_REVOKING || c->begun > 0)
		return;
	c->dirty = c->window.base >= 0;
	(void)commit(c->lane, &c, 1); /* 0: nothing was ever taken from it */
	c->state = CLAIM_NONE;
	c->gen++;
	crash_at(CRASH_REVOKE_COMMITTED);
	kafka_release(c->lane->consumer, at_of(c));
	log_line(LOG_INFO, "partition is let go", LOG_T("topic", c->lane->topic), LOG_I("partition", c->number));
}

static void on_revoke(void *arg, struct kafka_partition p, bool lost)
{
	struct lane_state *l = arg;
	struct claim *c = stage_claim(l, p.partition);

	if (c->state == CLAIM_NONE) {
		kafka_release(l->consumer, p);
		return;
	}
	if (lost) {
		log_line(LOG_WARN, "partition is lost", LOG_T("topic", l->topic), LOG_I("partition", p.partition));
		disown(c);
		c->state = CLAIM_NONE;
		return;
	}
	crash_at(CRASH_REVOKE_BEGUN);
	c->state = CLAIM_REVOKING;
	c->give_up_ms = loop_now_ms(l->stage->loop) + l->stage->grace_ms;
	drop_waiting(c);
	if (l->stage->closing)
		disown(c);
	claim_let_go(c);
}

static void on_record(void *arg, struct kafka_record *r)
{
	stage_record(arg, r);
}

static void on_error(void *arg, struct kafka_partition p, const struct err *err, bool position_out_of_log)
{
	struct lane_state *l = arg;
	char text[ERR_TEXT_BYTES];

	if (strcmp(err->code, "kafka_fatal") == 0) {
		service_broken(l->stage->service, err);
		return;
	}
	if (!position_out_of_log) {
		complain(l->stage, "kafka", err, p.partition);
		return;
	}
	(void)snprintf(text, sizeof(text), "%s [%d]: %.300s", l->topic, (int)p.partition, err->text); /* cut to fit */
	stage_alert(l->stage, "position_out_of_log", text);
	claim_begin_anew(stage_claim(l, p.partition));
}

const struct kafka_events stage_events = { on_assign, on_revoke, on_record, on_error, NULL };

/* ---- once a tick ---- */

static void tick_claim(struct claim *c, int64_t now)
{
	if (c->state == CLAIM_REVOKING && now >= c->give_up_ms) {
		/* The map first: what has finished counts.  Then nothing of the rest is published. */
		disown(c);
		claim_let_go(c);
	}
	if (c->blocked) {
		c->blocked = false;
		claim_flow(c);
	}
}

void claims_tick(struct stage *s)
{
	struct err err;

	if (s->key_wanted) {
		s->key_wanted = false;
		if (stage_read_keys(s, &err) != RC_OK)
			complain(s, "key file cannot be read again", &err, -1);
	}
	for (int i = 0; i < LANE_COUNT; i++) {
		struct lane_state *l = &s->lanes[i];

		if (!s->has_lane[i] || !l->consumer)
			continue;
		for (size_t k = 0; k < l->part_count; k++) {
			if (l->parts[k])
				tick_claim(l->parts[k], loop_now_ms(s->loop));
		}
		(void)claims_commit(l); /* how many is of no interest here */
	}
}
