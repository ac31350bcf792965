#include "producers/cli/listing.h"

#include "producers/cli/client.h"
#include "producers/cli/human.h"

enum { PATH_BYTES = 4096, PAGE = 1000, LIMIT = 20, LIST_BYTES = 1024 };

static enum rc page_path(struct buf *out, const char *path, int64_t wanted, struct slice after)
{
	char number[24], cursor[1024];

	(void)snprintf(number, sizeof(number), "%lld", (long long)(wanted < PAGE ? wanted : PAGE)); /* a number fits */
	(void)snprintf(cursor, sizeof(cursor), "%.*s", (int)after.len, after.ptr ? after.ptr : ""); /* a cut one is refused by the gateway */
	if (buf_add_text(out, path) != RC_OK || client_query(out, "limit", number) != RC_OK)
		return RC_NEVER;
	return client_query(out, "after", cursor);
}

int listing_fetch(const struct cli *c, const char *path, int64_t limit, struct doc **out)
{
	AUTO_DRAFT struct draft *all = draft_new_object();
	AUTO_DOC struct doc *page = NULL;
	struct draft *rows = draft_new_array();
	struct slice after = SLICE_EMPTY;
	int64_t fetched = 0;
	struct err err;
	bool more = true;

	draft_set_text(all, "object", SLICE_LITERAL("list"));
	draft_set(all, "data", rows);
	while (more && fetched < limit) {
		AUTO_BUF struct buf at = BUF_INIT(PATH_BYTES);
		struct doc *next = NULL;
		const struct doc *data;
		size_t count;
		int exit_code;

		if (page_path(&at, path, limit - fetched, after) != RC_OK)
			return cli_fail(c, CLI_USE, "the filters are too long");
		exit_code = client_ask(c, "GET", at.data, SLICE_EMPTY, NULL, &next);
		if (exit_code != CLI_OK)
			return exit_code;
		doc_free(page); /* `after` lay in it, and is no longer needed */
		page = next;
		data = doc_get(page, "data");
		count = doc_count(data);
		for (size_t i = 0; i < count && fetched < limit; i++, fetched++)
			draft_add(rows, draft_copy_of(doc_at(data, i)));
		after = doc_get_text(page, "after");
		if (after.len == 0 && count > 0)
			after = doc_get_text(doc_at(data, count - 1), "cursor");
		more = doc_get_bool(page, "has_more", false) && count > 0 && after.len > 0;
	}
	draft_set_bool(all, "has_more", more || doc_get_bool(page, "has_more", false));
	if (draft_seal(all, out, &err) != RC_OK)
		return cli_fail(c, CLI_NONE, "%s", err.text);
	return CLI_OK;
}

/* ---- cells ---- */

static void add_list(struct table *t, const struct doc *list)
{
	AUTO_BUF struct buf text = BUF_INIT(LIST_BYTES);

	for (size_t i = 0; i < doc_count(list); i++) {
		if ((i > 0 && buf_add_text(&text, ",") != RC_OK) || buf_add_slice(&text, doc_text(doc_at(list, i))) != RC_OK)
			break; /* as many as fit */
	}
	table_add(t, TERM_PLAIN, doc_type(list) == DOC_TEXT ? doc_text(list) : buf_slice(&text));
}

static void add_tests(struct table *t, const struct doc *row, const char *key)
{
	int64_t total = doc_get_int(row, "tests_total", 0);

	if (total > 0)
		table_addf(t, "%lld/%lld", (long long)doc_get_int(row, key, 0), (long long)total);
	else
		table_add(t, TERM_PLAIN, SLICE_EMPTY);
}

static void add_number(struct table *t, const struct listing_column *k, const struct doc *value)
{
	char text[HUMAN_BYTES] = "";
	int64_t n = 0;
	double real = 0;

	if (k->as == AS_SCORE && doc_real(value, &real))
		(void)snprintf(text, sizeof(text), "%.3f", real); /* 0..1 */
	else if (k->as == AS_MS && doc_int(value, &n))
		(void)human_ms(n, text); /* it gives text back */
	else if (k->as == AS_US && doc_int(value, &n))
		(void)human_us(n, text);
	else if (k->as == AS_NUMBER && doc_int(value, &n))
		(void)snprintf(text, sizeof(text), "%lld", (long long)n);
	table_add(t, TERM_PLAIN, slice_text(text));
}

static void add_cell(struct table *t, const struct listing_column *k, const struct doc *row)
{
	const struct doc *value = doc_get(row, k->key);
	char text[HUMAN_BYTES];
	struct slice id;
	bool flag = false;

	switch (k->as) {
	case AS_ID:
		id = doc_get_text(row, "response_id");
		table_add(t, TERM_PLAIN, id.len > 0 ? id : doc_text(value));
		break;
	case AS_TEXT:
		table_add(t, TERM_PLAIN, doc_text(value));
		break;
	case AS_WORD:
		table_add(t, term_style_of(doc_text(value)), doc_text(value));
		break;
	case AS_TIME:
		table_add(t, TERM_DIM, slice_text(human_time(doc_text(value), text)));
		break;
	case AS_FLAG:
		table_add(t, TERM_CARE, doc_bool(value, &flag) && flag ? SLICE_LITERAL("yes") : SLICE_EMPTY);
		break;
	case AS_LIST:
		add_list(t, value);
		break;
	case AS_TESTS:
		add_tests(t, row, k->key);
		break;
	case AS_MS:
	case AS_US:
	case AS_NUMBER:
	case AS_SCORE:
		add_number(t, k, value);
		break;
	}
}

static bool is_number(enum listing_as as)
{
	return as == AS_MS || as == AS_US || as == AS_NUMBER || as == AS_SCORE || as == AS_TESTS;
}

void listing_fill(struct table *t, const struct listing *l, const struct doc *rows)
{
	for (size_t k = 0; k < l->count; k++)
		table_column(t, l->columns[k].title, is_number(l->columns[k].as));
	for (size_t i = 0; i < doc_count(rows); i++) {
		for (size_t k = 0; k < l->count; k++)
			add_cell(t, &l->columns[k], doc_at(rows, i));
	}
}

int listing_show(const struct cli *c, const char *path, const struct listing *l)
{
	AUTO_TABLE struct table table = { 0 };
	AUTO_DOC struct doc *all = NULL;
	int exit_code = listing_fetch(c, path, args_int(&c->args, "limit", LIMIT), &all);

	if (exit_code != CLI_OK)
		return exit_code;
	if (c->json)
		return cli_print_doc(c, all, CLI_OK);
	if (doc_count(doc_get(all, "data")) == 0) {
		fprintf(stderr, "%s\n", l->nothing);
		return CLI_OK;
	}
	listing_fill(&table, l, doc_get(all, "data"));
	table_print(&table, &c->out);
	if (c->progress && doc_get_bool(all, "has_more", false))
		fprintf(stderr, "There are more: --limit N\n");
	return CLI_OK;
}
