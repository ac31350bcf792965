/* airlock list, verdicts, dead: what the record holds, as tables. */
#include "producers/cli/client.h"
#include "producers/cli/listing.h"

enum { PATH_BYTES = 2048 };

static int show(const struct cli *c, struct buf *path, enum rc rc, const struct listing *l)
{
	return rc == RC_OK ? listing_show(c, path->data, l) : cli_fail(c, CLI_USE, "the filters are too long");
}

int cmd_list(struct cli *c)
{
	static const struct listing_column columns[] = {
		{ "ID", "id", AS_ID },          { "STATUS", "status", AS_WORD },        { "CREATED", "created_at", AS_TIME }, { "LANE", "lane", AS_TEXT },
		{ "RUN", "run_verdict", AS_WORD }, { "TESTS", "tests_passed", AS_TESTS }, { "TOOK", "latency_ms", AS_MS },      { "GROUP", "group", AS_TEXT },
		{ "CUSTOM ID", "custom_id", AS_TEXT }, { "CODE", "code", AS_TEXT },
	};
	static const struct listing listing = { "No request is recorded that fits.", columns, COUNT_OF(columns) };
	AUTO_BUF struct buf path = BUF_INIT(PATH_BYTES);
	enum rc rc = buf_add_text(&path, "/v1/airlock/requests");

	if (rc == RC_OK)
		rc = client_query(&path, "status", args_text(&c->args, "status"));
	if (rc == RC_OK)
		rc = client_query(&path, "group", args_text(&c->args, "group"));
	if (rc == RC_OK)
		rc = client_query(&path, "custom_id", args_text(&c->args, "custom-id"));
	return show(c, &path, rc, &listing);
}

int cmd_verdicts(struct cli *c)
{
	static const struct listing_column columns[] = {
		{ "ID", "id", AS_ID },         { "AT", "at", AS_TIME },        { "GATE", "gate", AS_TEXT },     { "DECISION", "decision", AS_WORD },
		{ "PERSON", "person", AS_WORD }, { "SCORE", "score", AS_SCORE }, { "TOOK", "us", AS_US },         { "DEGRADED", "degraded", AS_FLAG },
		{ "CATEGORY", "category", AS_TEXT }, { "REASON", "reason", AS_TEXT },
	};
	static const struct listing listing = { "No verdict is recorded that fits.", columns, COUNT_OF(columns) };
	AUTO_BUF struct buf path = BUF_INIT(PATH_BYTES);
	enum rc rc = buf_add_text(&path, "/v1/airlock/verdicts");

	if (c->args.rest_count > 0 && !cli_is_id(c->args.rest[0]))
		return cli_fail(c, CLI_USE, "%s: no id of a request", c->args.rest[0]);
	if (rc == RC_OK && c->args.rest_count > 0)
		rc = client_query(&path, "request", c->args.rest[0]);
	if (rc == RC_OK)
		rc = client_query(&path, "gate", args_text(&c->args, "gate"));
	if (rc == RC_OK)
		rc = client_query(&path, "decision", args_text(&c->args, "decision"));
	return show(c, &path, rc, &listing);
}

int cmd_dead(struct cli *c)
{
	static const struct listing_column columns[] = {
		{ "TOPIC", "topic", AS_TEXT },       { "PARTITION", "partition", AS_NUMBER }, { "OFFSET", "offset", AS_NUMBER }, { "RECORDED", "recorded_at", AS_TIME },
		{ "BY", "program", AS_TEXT },     { "GENUINE", "genuine", AS_FLAG },       { "ENDED IT", "ended", AS_FLAG },  { "REQUEST", "request_id", AS_ID },
		{ "CODE", "code", AS_TEXT },         { "WHY", "why", AS_TEXT },
	};
	static const struct listing listing = { "No dead letter is recorded.", columns, COUNT_OF(columns) };

	return listing_show(c, "/v1/airlock/dead", &listing);
}
