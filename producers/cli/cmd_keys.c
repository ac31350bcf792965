/* airlock keys, redrive: what an administrator of a tenant asks for. */
#include "producers/cli/client.h"
#include "producers/cli/listing.h"

enum { BODY_BYTES = 1024 * 1024, NAME_BYTES = 128 };

/* ---- keys ---- */

static int list_keys(const struct cli *c)
{
	static const struct listing_column columns[] = {
		{ "ID", "id", AS_TEXT },           { "CREATED", "created_at", AS_TIME }, { "EXPIRES", "expires_at", AS_TIME },
		{ "REVOKED", "revoked_at", AS_TIME }, { "SCOPES", "scopes", AS_LIST },   { "NAME", "name", AS_TEXT },
	};
	static const struct listing listing = { "The tenant has no key.", columns, COUNT_OF(columns) };
	AUTO_TABLE struct table table = { 0 };
	AUTO_DOC struct doc *all = NULL;
	int exit_code = listing_fetch(c, "/v1/airlock/keys", BODY_BYTES, &all);

	if (exit_code != CLI_OK)
		return exit_code;
	if (c->json)
		return cli_print_doc(c, all, CLI_OK);
	listing_fill(&table, &listing, doc_get(all, "data"));
	table_print(&table, &c->out);
	return CLI_OK;
}

static int create_key(const struct cli *c, const char *name)
{
	AUTO_DRAFT struct draft *body = draft_new_object();
	AUTO_DOC struct doc *answer = NULL;
	AUTO_BUF struct buf text = BUF_INIT(BODY_BYTES);
	const char *given = args_text(&c->args, "scopes");
	struct draft *scopes = draft_new_array();
	struct slice rest = slice_text(given ? given : "submit,read"), scope, id;
	struct term about = term_of(stderr, false);
	int exit_code;

	while (slice_cut(&rest, ',', &scope))
		draft_add(scopes, draft_new_text(slice_trim(scope)));
	draft_set_text(body, "name", slice_text(name));
	draft_set(body, "scopes", scopes);
	if (args_has(&c->args, "expires-in-days"))
		draft_set_int(body, "expires_in_days", args_int(&c->args, "expires-in-days", 0));
	if (strlen(name) > NAME_BYTES || draft_write(body, &text) != RC_OK)
		return cli_fail(c, CLI_USE, "the name or the list of scopes is too long");
	exit_code = client_ask(c, "POST", "/v1/airlock/keys", buf_slice(&text), NULL, &answer);
	if (exit_code != CLI_OK)
		return exit_code;
	if (c->json)
		return cli_print_doc(c, answer, CLI_OK);
	id = doc_get_text(answer, "id");
	/* Only the key on standard output: `airlock keys create ci > key.file`. */
	term_printf(&about, TERM_PLAIN, "%.*s is made; the key is shown this once:", (int)id.len, id.ptr ? id.ptr : "");
	fputc('\n', stderr);
	term_put(&c->out, TERM_PLAIN, doc_get_text(answer, "secret"));
	putchar('\n');
	return CLI_OK;
}

static int revoke_key(const struct cli *c, const char *id)
{
	AUTO_DOC struct doc *answer = NULL;
	char path[256];
	int exit_code;

	if (!cli_is_id(id))
		return cli_fail(c, CLI_USE, "%s: no id of a key; `airlock keys list` shows them", id);
	(void)snprintf(path, sizeof(path), "/v1/airlock/keys/%s", id); /* ids are short */
	exit_code = client_ask(c, "DELETE", path, SLICE_EMPTY, NULL, &answer);
	if (exit_code != CLI_OK)
		return exit_code;
	if (c->json)
		return cli_print_doc(c, answer, CLI_OK);
	printf("%s is revoked\n", id);
	return CLI_OK;
}

int cmd_keys(struct cli *c)
{
	const char *verb = c->args.rest[0];
	bool list = strcmp(verb, "list") == 0;

	if (list && c->args.rest_count > 1)
		return cli_fail(c, CLI_USE, "%s: list takes no name", c->args.rest[1]);
	if (list)
		return list_keys(c);
	if (c->args.rest_count < 2)
		return cli_fail(c, CLI_USE, strcmp(verb, "create") == 0 ? "the new key's name is missing" : "the key's id is missing");
	return strcmp(verb, "create") == 0 ? create_key(c, c->args.rest[1]) : revoke_key(c, c->args.rest[1]);
}

/* ---- redrive ---- */

int cmd_redrive(struct cli *c)
{
	AUTO_DRAFT struct draft *body = draft_new_object();
	AUTO_DOC struct doc *answer = NULL;
	AUTO_BUF struct buf text = BUF_INIT(BODY_BYTES);
	int64_t wanted;
	int exit_code;

	if (c->args.rest_count > 0) {
		struct draft *ids = draft_new_array();

		draft_set(body, "requests", ids);
		for (int i = 0; i < c->args.rest_count; i++) {
			if (!cli_is_id(c->args.rest[i]))
				return cli_fail(c, CLI_USE, "%s: no id of a request", c->args.rest[i]);
			draft_add(ids, draft_new_text(slice_text(c->args.rest[i])));
		}
		if (draft_write(body, &text) != RC_OK)
			return cli_fail(c, CLI_USE, "too many ids for one call");
	}
	exit_code = client_ask(c, "POST", "/v1/airlock/redrive", buf_slice(&text), NULL, &answer);
	if (exit_code != CLI_OK)
		return exit_code;
	if (c->json)
		return cli_print_doc(c, answer, CLI_OK);
	wanted = doc_get_int(answer, "wanted", 0);
	printf("%lld request%s asked for; the recorder sends them again\n", (long long)wanted, wanted == 1 ? " is" : "s are");
	if (wanted < c->args.rest_count)
		return cli_fail(c, wanted > 0 ? CLI_SOME : CLI_NONE, "%lld of %d have ended, are held, or are none of your tenant's",
		                (long long)(c->args.rest_count - wanted), c->args.rest_count);
	return CLI_OK;
}
