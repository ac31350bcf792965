/*
 * stage_open: may this message be worked on?  We wrote it ourselves is no argument: shape, MACs, version, line 1, key and headers, then what
 * the flow demands.  MACs come before line 1 is parsed: a newer version under a valid MAC is no garbage but a reason to stop.
 */
#include "stage/stage_internal.h"

#include "model/ending.h"

/* Headers are copies for tools; one that says something else than line 1 is garbage.  A held request's new deadline is in the decision. */
static enum rc check_headers(const struct work *w, struct err *err)
{
	const struct request *r = &w->job.request;
	const struct kafka_record *k = &w->held->record;
	unsigned seen = 0;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < k->header_count; i++)
		rc = k->headers[i].name.len == 0 ? RC_OK :
		     request_check_header(r, w->job.deadline_ms, k->headers[i].name, k->headers[i].value, &seen, err);
	return rc == RC_OK ? request_check_header(r, w->job.deadline_ms, SLICE_EMPTY, SLICE_EMPTY, &seen, err) : rc;
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
