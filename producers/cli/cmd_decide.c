/* airlock held, decide: what waits for a person, the text itself, and the person's word on it. */
#include "producers/cli/client.h"
#include "producers/cli/human.h"
#include "producers/cli/listing.h"

enum { HELD_MOST = 10000, BODY_BYTES = 8192, WHY_BYTES = 1000, SHA256_HEX = 64 };

/* The held row of one request, or NULL with an exit code; *all owns it. */
static const struct doc *find(const struct cli *c, const char *id, struct doc **all, int *exit_code)
{
	const struct doc *rows;

	*exit_code = listing_fetch(c, "/v1/airlock/held", HELD_MOST, all);
	if (*exit_code != CLI_OK)
		return NULL;
	rows = doc_get(*all, "data");
	for (size_t i = 0; i < doc_count(rows); i++) {
		if (slice_is(doc_get_text(doc_at(rows, i), "id"), id))
			return doc_at(rows, i);
	}
	*exit_code = cli_fail(c, CLI_NONE, "%s: nothing of it is held; `airlock show %s` tells what became of it", id, id);
	return NULL;
}

static int print_one(const struct cli *c, const char *id)
{
	AUTO_DOC struct doc *all = NULL;
	char held[HUMAN_BYTES], expires[HUMAN_BYTES];
	int exit_code;
	const struct doc *row = find(c, id, &all, &exit_code);
	struct slice gate = doc_get_text(row, "gate"), reason = doc_get_text(row, "reason"), hash = doc_get_text(row, "held_sha256");

	if (!row)
		return exit_code;
	if (c->json)
		return cli_print_doc(c, row, CLI_OK);
	term_printf(&c->out, TERM_STRONG, "%s held by %.*s: %.*s", id, (int)gate.len, gate.ptr, (int)reason.len, reason.ptr);
	(void)human_time(doc_get_text(row, "held_at"), held); /* they give their texts back */
	(void)human_time(doc_get_text(row, "expires_at"), expires);
	putchar('\n');
	term_printf(&c->out, TERM_PLAIN, "since %s, until %s; sha256 %.*s", held, expires, (int)hash.len, hash.ptr ? hash.ptr : "");
	printf("\n\n");
	term_text(&c->out, doc_get_text(row, "text"));
	putchar('\n');
	term_printf(&c->out, TERM_DIM, "airlock decide %s allow|refuse --why TEXT --held-sha256 %.*s", id, (int)hash.len, hash.ptr ? hash.ptr : "");
	putchar('\n');
	return CLI_OK;
}

int cmd_held(struct cli *c)
{
	static const struct listing_column columns[] = {
		{ "ID", "id", AS_ID },           { "GATE", "gate", AS_TEXT },          { "HELD", "held_at", AS_TIME },
		{ "EXPIRES", "expires_at", AS_TIME }, { "REASON", "reason", AS_TEXT }, { "TEXT", "text", AS_TEXT },
	};
	static const struct listing listing = { "Nothing waits for a person.", columns, COUNT_OF(columns) };

	if (c->args.rest_count == 0)
		return listing_show(c, "/v1/airlock/held", &listing);
	if (!cli_is_id(c->args.rest[0]))
		return cli_fail(c, CLI_USE, "%s: no id of a request", c->args.rest[0]);
	return print_one(c, c->args.rest[0]);
}

static int send(const struct cli *c, const char *id, const char *decision, struct slice hash)
{
	AUTO_DRAFT struct draft *body = draft_new_object();
	AUTO_DOC struct doc *answer = NULL;
	AUTO_BUF struct buf text = BUF_INIT(BODY_BYTES);
	int64_t deadline_ms = args_int(&c->args, "deadline", 0);
	struct slice gate;
	char path[256];
	int exit_code;

	draft_set_text(body, "decision", slice_text(decision));
	draft_set_text(body, "why", slice_text(args_text(&c->args, "why")));
	draft_set_text(body, "held_sha256", hash);
	if (deadline_ms > 0)
		draft_set_int(body, "deadline_seconds", deadline_ms / 1000);
	if (draft_write(body, &text) != RC_OK)
		return cli_fail(c, CLI_USE, "--why is too long");
	(void)snprintf(path, sizeof(path), "/v1/airlock/requests/%s/decision", id); /* ids are short */
	exit_code = client_ask(c, "POST", path, buf_slice(&text), NULL, &answer);
	if (exit_code != CLI_OK)
		return exit_code;
	if (c->json)
		return cli_print_doc(c, answer, CLI_OK);
	gate = doc_get_text(answer, "gate");
	term_printf(&c->out, TERM_PLAIN, "%s: %s of what %.*s holds is on its way", id, decision, (int)gate.len, gate.ptr ? gate.ptr : "");
	putchar('\n');
	return CLI_OK;
}

int cmd_decide(struct cli *c)
{
	AUTO_DOC struct doc *all = NULL;
	const char *id = c->args.rest[0], *decision = c->args.rest[1], *why = args_text(&c->args, "why"), *given = args_text(&c->args, "held-sha256");
	const struct doc *row;
	int exit_code;

	if (!cli_is_id(id))
		return cli_fail(c, CLI_USE, "%s: no id of a request", id);
	if (!args_is_word("allow|refuse", slice_text(decision)))
		return cli_fail(c, CLI_USE, "%s: allow or refuse expected", decision);
	if (!why || strlen(why) > WHY_BYTES)
		return cli_fail(c, CLI_USE, "--why TEXT is needed, at most %d bytes", WHY_BYTES);
	if (given && (strlen(given) != SHA256_HEX || strspn(given, "0123456789abcdef") != SHA256_HEX))
		return cli_fail(c, CLI_USE, "--held-sha256: %d hexadecimal digits expected, as `airlock held %s` shows them", SHA256_HEX, id);
	if (given)
		return send(c, id, decision, slice_text(given));
	row = find(c, id, &all, &exit_code);
	return row ? send(c, id, decision, doc_get_text(row, "held_sha256")) : exit_code;
}
