/*
 * stage_open: may this message be worked on?  We wrote it ourselves is no argument: shape, MACs, version, line 1, key and headers, then what
 * the flow demands.  MACs come before line 1 is parsed: a newer version under a valid MAC is no garbage but a reason to stop.
 */
#include "stage/stage_internal.h"

#include "model/ending.h"

static enum rc check_number(struct slice value, int64_t right, struct err *err, const char *what)
{
	int64_t got = 0;

	if (slice_int(value, 0, INT64_MAX, &got) != RC_OK || got != right)
		return err_set(err, RC_NEVER, "header_differs", "header %s is not what line 1 says", what);
	return RC_OK;
}

static enum rc check_text(struct slice value, struct slice right, struct err *err, const char *what)
{
	if (!slice_equal(value, right))
		return err_set(err, RC_NEVER, "header_differs", "header %s is not what line 1 says", what);
	return RC_OK;
}

/* Headers are copies for tools; one that says something else than line 1 is garbage.  A held request's new deadline is in the decision. */
static enum rc check_headers(const struct work *w, struct err *err)
{
	const struct request *r = &w->job.request;
	const struct kafka_record *k = &w->held->record;
	unsigned seen = 0;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < k->header_count; i++) {
		struct slice name = k->headers[i].name, value = k->headers[i].value;

		if (slice_is(name, "airlock-version")) {
			seen |= 1;
			rc = check_number(value, MESSAGE_VERSION, err, "airlock-version");
		} else if (slice_is(name, "airlock-tenant")) {
			seen |= 2;
			rc = check_text(value, r->tenant, err, "airlock-tenant");
		} else if (slice_is(name, "airlock-deadline")) {
			seen |= 4;
			rc = check_number(value, r->deadline_ms, err, "airlock-deadline");
			if (rc != RC_OK)
				rc = check_number(value, w->job.deadline_ms, err, "airlock-deadline");
		} else if (slice_is(name, "traceparent")) {
			rc = check_text(value, r->traceparent, err, "traceparent");
		}
	}
	if (rc == RC_OK && seen != 7)
		rc = err_set(err, RC_NEVER, "header_missing", "airlock-version, airlock-tenant and airlock-deadline must be there");
	return rc;
}

/* The last decision of a person in this attempt moves the deadline. */
static enum rc read_deadline(struct work *w, struct err *err)
{
	const struct entry *e = message_find(&w->job.message, KIND_DECISION);
	struct person person;
	enum rc rc;

	w->job.deadline_ms = w->job.request.deadline_ms;
	if (!e)
		return RC_OK;
	rc = person_read(e->line, &person, err);
	if (rc != RC_OK)
		return rc;
	w->job.deadline_ms = person.deadline_ms;
	person_release(&person);
	return RC_OK;
}

enum rc work_open(struct work *w, struct err *err)
{
	struct stage *s = w->job.stage;
	struct job *j = &w->job;
	const struct kafka_record *k = &w->held->record;
	enum rc rc = message_read(k->bytes, &j->message, err);

	if (rc == RC_OK)
		rc = lineage_check(s->keys, &j->message, &j->lineage, err);
	if (rc != RC_OK)
		return rc;
	w->has_lineage = true;
	if (j->message.entries[0].kind != KIND_REQUEST)
		return err_set(err, RC_NEVER, "message_kind", "a %s line opens no request", kind_name(j->message.entries[0].kind));
	rc = request_read(j->message.entries[0].line, &j->request, err);
	if (rc != RC_OK)
		return rc;
	w->has_request = true;
	rc = read_deadline(w, err);
	if (rc == RC_OK && !slice_equal(k->key, j->request.id_text))
		rc = err_set(err, RC_NEVER, "key_differs", "the key is not the id in line 1");
	if (rc == RC_OK && j->request.lane != j->lane)
		rc = err_set(err, RC_NEVER, "lane_differs", "a request of lane %s on the topic of lane %s",
		             lane_name(j->request.lane), lane_name(j->lane));
	if (rc == RC_OK)
		rc = check_headers(w, err);
	if (rc == RC_OK)
		rc = lineage_demand(s->self, &j->message, &j->lineage, &j->request, err);
	return rc;
}
