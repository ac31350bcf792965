/*
 * parts: collect the bytes that a gate judges.
 *
 * What can be borrowed is borrowed; what must be decoded or joined goes into `held`, which moves while it grows.  So during
 * collection such a piece is remembered by its place in `held` (struct piece), and finish() turns places into slices.
 */
#include "model/parts.h"

#include "base/base.h"

struct piece { size_t name_at, name_len, at, len; };
struct collect {
	struct parts *p;
	struct piece pieces[LIMIT_PARTS];
	bool name_held[LIMIT_PARTS], bytes_held[LIMIT_PARTS];
	enum rc rc;
};

static void collect_begin(struct collect *c, struct parts *p)
{
	*p = (struct parts){ .held = BUF_INIT(LIMIT_MESSAGE_BYTES) };
	c->p = p;
	c->rc = RC_OK;
}

static void keep(struct collect *c, enum rc rc)
{
	if (c->rc == RC_OK)
		c->rc = rc;
}

/* The next free item, with its name: "prefix" or "prefix:name". */
static size_t item(struct collect *c, const char *prefix, struct slice name)
{
	size_t i = c->p->count;

	if (i == LIMIT_PARTS) {
		c->rc = RC_NEVER;
		return 0;
	}
	c->p->count++;
	c->name_held[i] = name.len > 0;
	c->bytes_held[i] = false;
	if (name.len == 0) {
		c->p->items[i].name = slice_text(prefix);
		return i;
	}
	c->pieces[i].name_at = c->p->held.len;
	keep(c, buf_add_text(&c->p->held, prefix));
	keep(c, buf_add_text(&c->p->held, ":"));
	keep(c, buf_add_slice(&c->p->held, name));
	c->pieces[i].name_len = c->p->held.len - c->pieces[i].name_at;
	return i;
}

static void borrow(struct collect *c, const char *name, struct slice bytes)
{
	size_t i = item(c, name, SLICE_EMPTY);

	c->p->items[i].bytes = bytes;
}

static void borrow_some(struct collect *c, const char *name, struct slice bytes)
{
	if (bytes.len > 0)
		borrow(c, name, bytes);
}

static void decode(struct collect *c, const char *prefix, struct slice name, struct slice base64)
{
	size_t i = item(c, prefix, name);

	c->bytes_held[i] = true;
	c->pieces[i].at = c->p->held.len;
	keep(c, buf_add_unbase64(&c->p->held, base64));
	c->pieces[i].len = c->p->held.len - c->pieces[i].at;
}

static void join(struct collect *c, struct slice text)
{
	if (text.len == 0)
		return;
	keep(c, buf_add_slice(&c->p->held, text));
	keep(c, buf_add_text(&c->p->held, "\n"));
}

/* What was joined since `at` becomes a part, unless it is nothing. */
static void joined(struct collect *c, const char *name, size_t at)
{
	size_t i, len = c->p->held.len - at;

	if (len == 0)
		return;
	i = item(c, name, SLICE_EMPTY);
	c->bytes_held[i] = true;
	c->pieces[i].at = at;
	c->pieces[i].len = len;
}

static enum rc finish(struct collect *c, struct err *err)
{
	struct parts *p = c->p;

	if (c->rc != RC_OK) {
		parts_release(p);
		return err_set(err, RC_NEVER, "parts_bytes", "base64 that does not decode, or too many bytes");
	}
	for (size_t i = 0; i < p->count; i++) {
		if (c->name_held[i])
			p->items[i].name = slice_of(p->held.data + c->pieces[i].name_at, c->pieces[i].name_len);
		if (c->bytes_held[i])
			p->items[i].bytes = c->pieces[i].len > 0 ? slice_of(p->held.data + c->pieces[i].at, c->pieces[i].len)
			                                         : SLICE_EMPTY;
	}
	return RC_OK;
}

enum rc parts_of_request(const struct request *r, struct slice repair_text, struct parts *out, struct err *err)
{
	struct collect c;
	size_t at;

	collect_begin(&c, out);
	borrow_some(&c, "instructions", r->instructions);
	borrow_some(&c, "input", r->input);
	borrow_some(&c, "program", r->program);
	borrow_some(&c, "stdin", r->stdin_text);
	at = out->held.len;
	for (size_t i = 0; i < r->test_count; i++) {
		join(&c, r->tests[i].name);
		join(&c, r->tests[i].code);
		join(&c, r->tests[i].input);
		join(&c, r->tests[i].expected);
	}
	joined(&c, "tests", at);
	at = out->held.len;
	for (size_t i = 0; i < r->input_count; i++)
		join(&c, r->inputs[i].name);
	for (size_t i = 0; i < r->output_count; i++)
		join(&c, r->outputs[i]);
	joined(&c, "files", at);
	for (size_t i = 0; i < r->input_count; i++)
		decode(&c, "input", r->inputs[i].name, r->inputs[i].base64);
	borrow_some(&c, "repair", repair_text);
	return finish(&c, err);
}

enum rc parts_of_answer(const struct request *r, const struct answer *a, struct parts *out, struct err *err)
{
	struct collect c;

	collect_begin(&c, out);
	if (r->own_program)
		borrow(&c, "program", r->program);
	else
		borrow(&c, "answer", a->text);
	return finish(&c, err);
}

enum rc parts_of_result(const struct answer *a, const struct outcome *o, struct parts *out, struct err *err)
{
	struct collect c;
	size_t at;

	collect_begin(&c, out);
	if (a != NULL)
		borrow(&c, "answer", a->text);
	if (o == NULL)
		return finish(&c, err);
	if (o->out.base64.len > 0)
		decode(&c, "stdout", SLICE_EMPTY, o->out.base64);
	if (o->err_out.base64.len > 0)
		decode(&c, "stderr", SLICE_EMPTY, o->err_out.base64);
	for (size_t i = 0; i < o->file_count; i++)
		decode(&c, "file", o->files[i].name, o->files[i].base64);
	at = out->held.len;
	join(&c, o->detail);
	for (size_t i = 0; i < o->refused_call_count; i++) {
		join(&c, o->refused_calls[i].name);
		join(&c, o->refused_calls[i].argument);
	}
	for (size_t i = 0; i < o->refused_file_count; i++) {
		join(&c, o->refused_files[i].name);
		join(&c, o->refused_files[i].why);
	}
	joined(&c, "error", at);
	return finish(&c, err);
}

void parts_release(struct parts *p)
{
	buf_release(&p->held);
	p->count = 0;
}

const struct part_bytes *parts_find(const struct parts *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++) {
		if (slice_is(p->items[i].name, name))
			return &p->items[i];
	}
	return NULL;
}

void parts_name(const struct parts *p, struct verdict *v)
{
	v->part_count = p->count;
	for (size_t i = 0; i < p->count; i++)
		v->parts[i] = (struct part){ p->items[i].name, (int64_t)p->items[i].bytes.len, digest_sha256(p->items[i].bytes) };
}

bool parts_match(const struct parts *p, const struct verdict *v)
{
	bool same = p->count == v->part_count;

	for (size_t i = 0; same && i < p->count; i++) {
		struct sha256 hash = digest_sha256(p->items[i].bytes);

		same = slice_equal(p->items[i].name, v->parts[i].name) && (int64_t)p->items[i].bytes.len == v->parts[i].bytes &&
		       digest_equal(hash.bytes, v->parts[i].sha256.bytes, SHA256_BYTES);
	}
	return same;
}
