/*
 * What exists: struct draft, which is jansson's json_t under another name, so that no other file knows jansson.
 * Who owns it: as draft.h says; jansson counts references, and one draft_free() gives back what one draft_new_*() gave.
 * What never happens here: a failed allocation (mem); text that doc_read() would refuse.
 */
#include "base/draft.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "base/mem.h"

enum { SEALED_BYTES = 256 * 1024 * 1024 };

static json_t *json_of(const struct draft *d)
{
	return (json_t *)d;
}

static struct draft *draft_of(json_t *j)
{
	assert(j != NULL); /* jansson gives NULL for what we check before, and for lack of memory, which mem ends */
	return (struct draft *)j;
}

static void *give(size_t bytes)
{
	return mem_resize(NULL, bytes);
}

/* Before main(): jansson wants both set before its first use, and seeding reads /dev/urandom, which a jail has not. */
static __attribute__((constructor)) void draft_start(void)
{
	json_set_alloc_funcs(give, mem_free);
	json_object_seed(0);
}

/* ---- making ---------------------------------------------------------------------------------------------------- */

struct draft *draft_new_object(void)
{
	return draft_of(json_object());
}

struct draft *draft_new_array(void)
{
	return draft_of(json_array());
}

/* Text with U+FFFD in place of what is not UTF-8, and of NUL. */
static void repair(struct slice text, struct buf *out)
{
	while (text.len > 0) {
		int step = slice_utf8_step(text);
		size_t n = (size_t)(step < 0 ? -step : step);
		enum rc rc;

		if (step < 0 || text.ptr[0] == '\0')
			rc = buf_add(out, "\xEF\xBF\xBD", 3);
		else
			rc = buf_add(out, text.ptr, n);
		assert(rc == RC_OK); /* room for three bytes each was promised */
		(void)rc;
		text = slice_of(text.ptr + n, text.len - n);
	}
}

struct draft *draft_new_text(struct slice text)
{
	struct buf good = BUF_INIT(text.len * 3);
	struct draft *d;

	if (text.len == 0)
		return draft_of(json_string(""));
	if (memchr(text.ptr, '\0', text.len) == NULL && slice_is_utf8(text))
		return draft_of(json_stringn_nocheck(text.ptr, text.len));
	repair(text, &good);
	d = draft_of(json_stringn_nocheck(good.data, good.len));
	buf_release(&good);
	return d;
}

struct draft *draft_new_int(int64_t value)
{
	return draft_of(json_integer(value));
}

struct draft *draft_new_real(double value)
{
	return isfinite(value) ? draft_of(json_real(value)) : draft_new_null();
}

struct draft *draft_new_bool(bool value)
{
	return draft_of(json_boolean(value));
}

struct draft *draft_new_null(void)
{
	return draft_of(json_null());
}

static struct draft *copy_array(const struct doc *d)
{
	struct draft *copy = draft_new_array();
	const struct doc *item;

	DOC_ITEMS(d, &item)
		draft_add(copy, draft_copy_of(item));
	return copy;
}

static struct draft *copy_object(const struct doc *d)
{
	struct draft *copy = draft_new_object();
	const struct doc *value;
	const char *key;

	DOC_EACH(d, &key, &value)
		draft_set(copy, key, draft_copy_of(value));
	return copy;
}

/* As deep as doc_read() let it be. */
struct draft *draft_copy_of(const struct doc *d)
{
	int64_t whole = 0;
	double real = 0;
	bool yes = false;

	switch (doc_type(d)) {
	case DOC_OBJECT:
		return copy_object(d);
	case DOC_ARRAY:
		return copy_array(d);
	case DOC_TEXT:
		return draft_new_text(doc_text(d));
	case DOC_INT:
		(void)doc_int(d, &whole); /* its type says so; below too */
		return draft_new_int(whole);
	case DOC_REAL:
		(void)doc_real(d, &real);
		return draft_new_real(real);
	case DOC_BOOL:
		(void)doc_bool(d, &yes);
		return draft_new_bool(yes);
	case DOC_NULL:
		return draft_new_null();
	case DOC_NONE:
		break;
	}
	assert(!"there is something to copy");
	return draft_new_null();
}

void draft_free(struct draft *d)
{
	json_decref(json_of(d));
}

void draft_set(struct draft *object, const char *key, struct draft *child)
{
	struct buf good = BUF_INIT(strlen(key) * 3);
	int failed;

	assert(json_is_object(json_of(object)) && child != NULL && child != object);
	if (slice_is_utf8(slice_text(key))) {
		failed = json_object_set_new_nocheck(json_of(object), key, json_of(child));
	} else {
		repair(slice_text(key), &good);
		failed = json_object_set_new_nocheck(json_of(object), good.data, json_of(child));
		buf_release(&good);
	}
	assert(failed == 0);
	(void)failed;
}

void draft_add(struct draft *array, struct draft *child)
{
	int failed;

	assert(json_is_array(json_of(array)) && child != NULL && child != array);
	failed = json_array_append_new(json_of(array), json_of(child));
	assert(failed == 0);
	(void)failed;
}

void draft_set_text(struct draft *object, const char *key, struct slice text)
{
	draft_set(object, key, draft_new_text(text));
}

void draft_set_int(struct draft *object, const char *key, int64_t value)
{
	draft_set(object, key, draft_new_int(value));
}

void draft_set_real(struct draft *object, const char *key, double value)
{
	draft_set(object, key, draft_new_real(value));
}

void draft_set_bool(struct draft *object, const char *key, bool value)
{
	draft_set(object, key, draft_new_bool(value));
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static enum rc write_value(const json_t *j, int depth, struct buf *out);

static enum rc write_array(const json_t *j, int depth, struct buf *out)
{
	size_t count = json_array_size(j);
	enum rc rc = buf_add(out, "[", 1);

	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		if (i > 0)
			rc = buf_add(out, ",", 1);
		if (rc == RC_OK)
			rc = write_value(json_array_get(j, i), depth, out);
	}
	return rc == RC_OK ? buf_add(out, "]", 1) : rc;
}

static enum rc write_object(json_t *j, int depth, struct buf *out)
{
	void *first = json_object_iter(j);
	enum rc rc = buf_add(out, "{", 1);

	for (void *at = first; rc == RC_OK && at != NULL; at = json_object_iter_next(j, at)) {
		if (at != first)
			rc = buf_add(out, ",", 1);
		if (rc == RC_OK)
			rc = buf_add_json(out, slice_text(json_object_iter_key(at)));
		if (rc == RC_OK)
			rc = buf_add(out, ":", 1);
		if (rc == RC_OK)
			rc = write_value(json_object_iter_value(at), depth, out);
	}
	return rc == RC_OK ? buf_add(out, "}", 1) : rc;
}

/* Our own walk, several times as quick as jansson's, which keeps a hash table of all parents against cycles; here the
 * depth ends them, and what is nested deeper than doc_read() takes is not written either. */
static enum rc write_value(const json_t *j, int depth, struct buf *out)
{
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return depth < DOC_DEPTH ? write_object((json_t *)j, depth + 1, out) : RC_NEVER;
	case JSON_ARRAY:
		return depth < DOC_DEPTH ? write_array(j, depth + 1, out) : RC_NEVER;
	case JSON_STRING:
		return buf_add_json(out, slice_of(json_string_value(j), json_string_length(j)));
	case JSON_INTEGER:
		return buf_printf(out, "%lld", (long long)json_integer_value(j));
	case JSON_REAL:
		return buf_add_json_real(out, json_real_value(j));
	case JSON_TRUE:
		return buf_add_text(out, "true");
	case JSON_FALSE:
		return buf_add_text(out, "false");
	case JSON_NULL:
		return buf_add_text(out, "null");
	}
	return RC_NEVER;
}

enum rc draft_write(const struct draft *d, struct buf *out)
{
	size_t before = out->len;
	enum rc rc = d != NULL ? write_value(json_of(d), 0, out) : RC_NEVER;

	if (rc != RC_OK)
		buf_cut(out, before);
	return rc;
}

enum rc draft_seal(const struct draft *d, struct doc **out, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT(SEALED_BYTES);

	if (draft_write(d, &text) != RC_OK)
		return err_set(err, RC_NEVER, "json_too_big", "a document that was made is too large or too deep");
	return doc_read(buf_slice(&text), SEALED_BYTES, out, err);
}
