/*
 * moderations: what a moderation model would say of each text, from the records that hold "scores"; a text that none fits is harmless.
 * One result a string, one for all parts of a message, as OpenAI has it.
 */
#include "replay.h"

enum { BODY_BYTES = 8 * 1024 * 1024, HUGE_ANSWER_BYTES = 4 * 1024 * 1024, MODEL_BYTES = 128 };

static const char *const categories[] = {
	"harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm", "self-harm/instructions",
	"self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
};

static enum rc add_result(const struct record *record, struct buf *b)
{
	const struct doc *scores = record ? record->scores : NULL;
	bool flagged = false;
	enum rc rc;

	for (size_t i = 0; i < COUNT_OF(categories); i++)
		flagged = flagged || doc_get_real(scores, categories[i], 0) >= 0.5;
	rc = buf_printf(b, "{\"flagged\":%s,\"categories\":{", flagged ? "true" : "false");
	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(categories); i++)
		rc = buf_printf(b, "%s\"%s\":%s", i ? "," : "", categories[i], doc_get_real(scores, categories[i], 0) >= 0.5 ? "true" : "false");
	if (rc == RC_OK)
		rc = buf_add_text(b, "},\"category_scores\":{");
	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(categories); i++)
		rc = buf_printf(b, "%s\"%s\":%.6f", i ? "," : "", categories[i], doc_get_real(scores, categories[i], 0.000001));
	if (rc == RC_OK)
		rc = buf_add_text(b, "},\"category_applied_input_types\":{");
	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(categories); i++)
		rc = buf_printf(b, "%s\"%s\":[\"text\"]", i ? "," : "", categories[i]);
	return rc == RC_OK ? buf_add_text(b, "}}") : rc;
}

/* The record of one text; its fault, if it has one, becomes the whole call's. */
static struct record *record_of(struct replay *r, struct slice text, enum fault *fault)
{
	struct record *record = records_find(&r->records, text, true);

	r->moderated_texts++;
	if (record && *fault == FAULT_NONE)
		*fault = record_fault(record);
	return record;
}

static enum rc add_results(struct replay *r, const struct doc *input, struct buf *b, enum fault *fault)
{
	bool strings = doc_type(input) == DOC_ARRAY && doc_type(doc_at(input, 0)) == DOC_TEXT;
	enum rc rc = RC_OK;

	if (doc_type(input) == DOC_TEXT)
		return add_result(record_of(r, doc_text(input), fault), b);
	for (size_t i = 0; strings && rc == RC_OK && i < doc_count(input); i++) {
		if (i > 0)
			rc = buf_add_text(b, ",");
		if (rc == RC_OK)
			rc = add_result(record_of(r, doc_text(doc_at(input, i)), fault), b);
	}
	if (!strings) { /* parts of one message: one result for all */
		const struct record *found = NULL;

		for (size_t i = 0; i < doc_count(input); i++) {
			const struct record *one = record_of(r, doc_get_text(doc_at(input, i), "text"), fault);

			found = found ? found : one;
		}
		rc = add_result(found, b);
	}
	return rc;
}

static void send_half(struct exchange *x, struct slice whole, bool end)
{
	exchange_stream_begin(x, 200, "application/json");
	if (exchange_stream_piece(x, slice_of(whole.ptr, whole.len / 2)) != RC_OK || end)
		exchange_stream_end(x); /* the transport ends well: only the JSON tells */
}

static void send_huge(struct exchange *x)
{
	AUTO_BUF struct buf b = BUF_INIT(HUGE_ANSWER_BYTES);
	char *room = buf_room(&b, HUGE_ANSWER_BYTES - 1);

	if (room) {
		memset(room, ' ', HUGE_ANSWER_BYTES - 1);
		buf_grew(&b, HUGE_ANSWER_BYTES - 1);
	}
	exchange_answer(x, 200, "application/json", buf_slice(&b));
}

static void send_as(struct exchange *x, enum fault fault, enum rc rc, const struct buf *b)
{
	switch (fault) {
	case FAULT_BUSY:
		exchange_set_header(x, "Retry-After", "1");
		replay_error(x, 429, "rate_limit_error", "rate_limit_exceeded", "too many requests");
		break;
	case FAULT_BUSY_MUTE:
		replay_error(x, 429, "rate_limit_error", "rate_limit_exceeded", "too many requests");
		break;
	case FAULT_ERROR:
		replay_error(x, 500, "server_error", "server_error", "a fault that was asked for");
		break;
	case FAULT_KEY:
		replay_error(x, 401, "invalid_request_error", "invalid_api_key", "a fault that was asked for");
		break;
	case FAULT_MODEL:
		replay_error(x, 404, "invalid_request_error", "model_not_found", "a fault that was asked for");
		break;
	case FAULT_HANG:
		break;
	case FAULT_DRIP:
	case FAULT_CUT:
		send_half(x, buf_slice(b), fault == FAULT_CUT);
		break;
	case FAULT_TYPE:
		exchange_answer(x, 200, "application/json", SLICE_LITERAL("{\"id\":7,\"model\":[],\"results\":{\"flagged\":\"no\"}}"));
		break;
	case FAULT_HUGE:
		send_huge(x);
		break;
	default:
		replay_answer(x, rc, b);
		break;
	}
}

void replay_moderations(struct replay *r, struct exchange *x)
{
	AUTO_DOC struct doc *d = NULL;
	AUTO_BUF struct buf b = BUF_INIT(BODY_BYTES);
	struct slice model = SLICE_LITERAL("omni-moderation-latest");
	enum fault fault = r->moderation_fault;
	enum rc rc;

	r->moderations++;
	if (doc_read(exchange_body(x), BODY_BYTES, &d, NULL) != RC_OK || !doc_get(d, "input") || doc_get_text(d, "model").len > MODEL_BYTES) {
		replay_error(x, 400, "invalid_request_error", "invalid_request", "a JSON object with input expected");
		return;
	}
	if (doc_get(d, "model"))
		model = doc_get_text(d, "model");
	rc = buf_add_text(&b, "{\"id\":\"modr-replay\",\"model\":");
	if (rc == RC_OK)
		rc = buf_add_json(&b, model);
	if (rc == RC_OK)
		rc = buf_add_text(&b, ",\"results\":[");
	if (rc == RC_OK)
		rc = add_results(r, doc_get(d, "input"), &b, &fault);
	if (rc == RC_OK)
		rc = buf_add_text(&b, "]}");
	send_as(x, fault, rc, &b);
}
