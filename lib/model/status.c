#include "model/status.h"

#include "base/base.h"

#include "model/ending.h"
#include "model/message.h"
#include "model/verdict.h"

static const char *const names[STATUS_COUNT] = {
	[STATUS_QUEUED] = "queued",     [STATUS_IN_PROGRESS] = "in_progress", [STATUS_HELD] = "held",
	[STATUS_RELEASED] = "released", [STATUS_REFUSED] = "refused",         [STATUS_FAILED] = "failed",
	[STATUS_EXPIRED] = "expired",   [STATUS_CANCELLED] = "cancelled",     [STATUS_DELETED] = "deleted",
};

const char *status_name(enum status s)
{
	return (unsigned)s < STATUS_COUNT ? names[s] : "?";
}

bool status_read(struct slice name, enum status *out)
{
	for (int s = 0; s < STATUS_COUNT; s++) {
		if (slice_is(name, names[s])) {
			*out = (enum status)s;
			return true;
		}
	}
	return false;
}

bool status_is_terminal(enum status s)
{
	return s >= STATUS_RELEASED && s < STATUS_COUNT;
}

const char *status_openai(enum status s, bool refused_by_input_gate)
{
	switch (s) {
	case STATUS_QUEUED:
		return "queued";
	case STATUS_IN_PROGRESS:
	case STATUS_HELD: /* a person will decide: it is still on its way */
		return "in_progress";
	case STATUS_RELEASED:
		return "completed";
	case STATUS_REFUSED: /* a refused prompt is an error; a refused answer is one cut by the content filter */
		return refused_by_input_gate ? "failed" : "incomplete";
	case STATUS_CANCELLED:
	case STATUS_DELETED:
		return "cancelled";
	case STATUS_FAILED:
	case STATUS_EXPIRED:
	case STATUS_COUNT:
		break;
	}
	return "failed";
}

static enum rc no_end(struct err *err, const char *what)
{
	return err_set(err, RC_NEVER, "status_no_end", "the message does not end here: %s", what);
}

static enum rc of_verdict(struct slice line, enum status *out, struct err *err)
{
	struct verdict v;
	enum rc rc = verdict_read(line, &v, err);

	if (rc != RC_OK)
		return rc;
	if (v.decision == DECISION_REFUSE)
		*out = STATUS_REFUSED;
	else if (v.decision == DECISION_HOLD)
		*out = STATUS_HELD;
	else if (v.gate == KIND_REVIEW)
		*out = STATUS_RELEASED;
	else
		rc = no_end(err, "a gate lets it pass");
	verdict_release(&v);
	return rc;
}

static enum rc of_person(struct slice line, enum status *out, struct err *err)
{
	struct person p;
	enum rc rc = person_read(line, &p, err);

	if (rc != RC_OK)
		return rc;
	if (p.decision == DECISION_REFUSE)
		*out = STATUS_REFUSED;
	else if (p.gate == KIND_REVIEW)
		*out = STATUS_RELEASED;
	else
		rc = no_end(err, "a person lets it pass");
	person_release(&p);
	return rc;
}

static enum rc of_end(struct slice line, enum status *out, struct err *err)
{
	struct end e;
	enum rc rc = end_read(line, &e, err);

	if (rc != RC_OK)
		return rc;
	*out = e.status;
	end_release(&e);
	return RC_OK;
}

enum rc status_of_message(const struct message *m, enum status *out, struct err *err)
{
	const struct entry *last = message_last(m);

	switch (last->kind) {
	case KIND_SCREEN:
	case KIND_INSPECT:
	case KIND_REVIEW:
		return of_verdict(last->line, out, err);
	case KIND_DECISION:
		return of_person(last->line, out, err);
	case KIND_END:
		return of_end(last->line, out, err);
	default:
		return no_end(err, kind_name(last->kind));
	}
}
