/*
 * What exists: struct doc, which is jansson's json_t under another name, so that no other file knows jansson.
 * Who owns it: as doc.h says.
 * What never happens here: jansson parsing bytes whose size and depth were not checked before; foreign content in a
 * reason (jansson quotes what it stumbled over, we keep line and column alone); a failed allocation (mem).
 */
#include "base/doc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/pieces.h"

enum { READ_BYTES = 65536, MUCH_BYTES = 256 * 1024 * 1024 };

static json_t *json_of(const struct doc *d)
{
	return (json_t *)d;
}

static struct doc *doc_of(json_t *j)
{
	assert(j != NULL); /* jansson gives NULL for what we check before, and for lack of memory, which mem ends */
	return (struct doc *)j;
}

/* Before main(): jansson wants both set before its first use, and seeding reads /dev/urandom, which a jail has not. */
static __attribute__((constructor)) void doc_start(void)
{
	json_set_alloc_funcs(pieces_new, pieces_free);
	json_object_seed(0);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static enum rc fail_at(struct err *err, const char *code, struct slice text, const char *at, const char *what)
{
	long line = 1;
	const char *start = text.ptr;

	for (const char *p = text.ptr; p < at; p++) {
		if (*p == '\n') {
			line++;
			start = p + 1;
		}
	}
	return err_set(err, RC_NEVER, code, "line %ld column %ld: %s", line, (long)(at - start) + 1, what);
}

/* Behind the string that begins at p (its opening quote).  NULL, with *bad set, at an escaped NUL. */
static const char *skip_string(const char *p, const char *end, const char **bad)
{
	for (p++; p < end && *p != '"'; p++) {
		p += slice_plain_run(slice_of(p, (size_t)(end - p)));
		if (p == end || *p == '"')
			break;
		if (*p != '\\')
			continue;
		if (end - p >= 6 && memcmp(p, "\\u0000", 6) == 0) {
			*bad = p;
			return NULL;
		}
		p++;
	}
	return p < end ? p + 1 : end;
}

/* What jansson would do only with its own far larger limits, or after it has built half a tree. */
static enum rc scan(struct slice text, struct err *err)
{
	const char *p = text.ptr;
	const char *end = text.ptr + text.len;
	const char *bad = NULL;
	int depth = 0;

	while (p < end) {
		switch (*p) {
		case '"':
			p = skip_string(p, end, &bad);
			if (p == NULL)
				return fail_at(err, "json_nul", text, bad, "text may not hold NUL");
			continue;
		case '{':
		case '[':
			if (++depth > DOC_DEPTH)
				return fail_at(err, "json_too_deep", text, p, "nested too deep");
			break;
		case '}':
		case ']':
			depth--;
			break;
		case '\0':
			return fail_at(err, "json_nul", text, p, "NUL byte");
		default:
			break;
		}
		p++;
	}
	return RC_OK;
}

static enum rc fail_jansson(struct err *err, const json_error_t *e)
{
	const char *code = "json_syntax";
	const char *what = "not JSON";

	switch (json_error_code(e)) {
	case json_error_duplicate_key:
		code = "json_duplicate_key";
		what = "the same key twice in one object";
		break;
	case json_error_invalid_utf8:
		code = "json_utf8";
		what = "not UTF-8";
		break;
	case json_error_null_character:
	case json_error_null_byte_in_key:
		code = "json_nul";
		what = "text may not hold NUL";
		break;
	case json_error_numeric_overflow:
		code = "json_number";
		what = "a number beyond 64 bits or not finite";
		break;
	case json_error_premature_end_of_input:
		what = "ends too early";
		break;
	case json_error_end_of_input_expected:
		what = "something stands behind the document";
		break;
	default:
		break;
	}
	return err_set(err, RC_NEVER, code, "line %d column %d: %s", e->line, e->column, what);
}

enum rc doc_read(struct slice text, size_t max_bytes, struct doc **out, struct err *err)
{
	json_error_t e;
	json_t *j;
	enum rc rc;

	if (text.len > max_bytes)
		return err_set(err, RC_NEVER, "json_too_big", "%zu bytes where at most %zu are allowed", text.len, max_bytes);
	if (text.len == 0)
		return err_set(err, RC_NEVER, "json_syntax", "line 1 column 1: nothing there");
	rc = scan(text, err);
	if (rc != RC_OK)
		return rc;
	j = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
	if (j == NULL)
		return fail_jansson(err, &e);
	*out = doc_of(j);
	return RC_OK;
}

static enum rc read_all(int fd, const char *path, struct buf *text, struct err *err)
{
	for (;;) {
		size_t left = text->max - text->len;
		size_t want = left < READ_BYTES ? left : READ_BYTES;
		char *room;
		ssize_t n;

		if (want == 0)
			return err_set(err, RC_NEVER, "json_too_big", "%s: more than the %zu bytes allowed", path, text->max - 1);
		room = buf_room(text, want);
		assert(room != NULL);
		n = read(fd, room, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, RC_NEVER, "file_unreadable", "%s: %s", path, strerror(errno));
		if (n == 0)
			return RC_OK;
		buf_grew(text, (size_t)n);
	}
}

enum rc doc_read_file_bytes(const char *path, size_t max_bytes, struct buf *bytes, struct doc **out, struct err *err)
{
	/* one byte more than allowed: that is how a file too big shows, also one that grows while it is read */
	AUTO_BUF struct buf text = BUF_INIT(max_bytes < MUCH_BYTES ? max_bytes + 1 : MUCH_BYTES);
	struct stat st;
	enum rc rc;
	int fd;

	/* O_NONBLOCK: a FIFO in place of the file must not hang the start */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set(err, RC_NEVER, "file_unreadable", "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		rc = err_set(err, RC_NEVER, "file_unreadable", "%s: not a regular file", path);
	else
		rc = read_all(fd, path, &text, err);
	(void)close(fd); /* only read from */
	if (rc != RC_OK)
		return rc;
	rc = doc_read(buf_slice(&text), max_bytes, out, err);
	if (rc != RC_OK) {
		err_prefix(err, "%s", path);
	} else if (bytes) {
		*bytes = text;
		text = (struct buf){ .data = NULL };
	}
	return rc;
}

enum rc doc_read_file(const char *path, size_t max_bytes, struct doc **out, struct err *err)
{
	return doc_read_file_bytes(path, max_bytes, NULL, out, err);
}

/* ---- writing to bytes ------------------------------------------------------------------------------------------ */

static enum rc write_value(const json_t *j, int depth, struct buf *out);

/* Digits enough to come back to the same bits, and never the look of a whole number. */
static enum rc write_real(double value, struct buf *out)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%.17g", value);

	assert(n > 0 && (size_t)n < sizeof(text));
	if (strpbrk(text, ".e") == NULL)
		return buf_printf(out, "%s.0", text);
	return buf_add(out, text, (size_t)n);
}

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
		return write_real(json_real_value(j), out);
	case JSON_TRUE:
		return buf_add_text(out, "true");
	case JSON_FALSE:
		return buf_add_text(out, "false");
	case JSON_NULL:
		return buf_add_text(out, "null");
	}
	return RC_NEVER;
}

enum rc doc_write(const struct doc *d, struct buf *out)
{
	size_t before = out->len;
	enum rc rc = d != NULL ? write_value(json_of(d), 0, out) : RC_NEVER;

	if (rc != RC_OK)
		buf_cut(out, before);
	return rc;
}

static int add_dumped(const char *bytes, size_t n, void *buf)
{
	return buf_add(buf, bytes, n) == RC_OK ? 0 : -1;
}

enum rc doc_write_pretty(const struct doc *d, struct buf *out)
{
	const size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(17) | JSON_INDENT(2);
	size_t before = out->len;

	if (d != NULL && json_dump_callback(json_of(d), add_dumped, out, flags) == 0)
		return RC_OK;
	buf_cut(out, before);
	return RC_NEVER;
}

void doc_free(struct doc *d)
{
	json_decref(json_of(d));
}

/* ---- looking --------------------------------------------------------------------------------------------------- */

enum doc_type doc_type(const struct doc *d)
{
	if (d == NULL)
		return DOC_NONE;
	switch (json_typeof(json_of(d))) {
	case JSON_OBJECT:
		return DOC_OBJECT;
	case JSON_ARRAY:
		return DOC_ARRAY;
	case JSON_STRING:
		return DOC_TEXT;
	case JSON_INTEGER:
		return DOC_INT;
	case JSON_REAL:
		return DOC_REAL;
	case JSON_TRUE:
	case JSON_FALSE:
		return DOC_BOOL;
	case JSON_NULL:
		return DOC_NULL;
	}
	return DOC_NONE;
}

const struct doc *doc_get(const struct doc *object, const char *key)
{
	return (const struct doc *)json_object_get(json_of(object), key);
}

size_t doc_count(const struct doc *array_or_object)
{
	const json_t *j = json_of(array_or_object);

	return json_is_object(j) ? json_object_size(j) : json_array_size(j);
}

const struct doc *doc_at(const struct doc *array, size_t index)
{
	return (const struct doc *)json_array_get(json_of(array), index);
}

bool doc_next(const struct doc *object, void **at, const char **key, const struct doc **value)
{
	json_t *j = json_of(object);

	*at = *at == NULL ? json_object_iter(j) : json_object_iter_next(j, *at);
	if (*at == NULL)
		return false;
	*key = json_object_iter_key(*at);
	*value = (const struct doc *)json_object_iter_value(*at);
	return true;
}

struct slice doc_text(const struct doc *d)
{
	if (!json_is_string(json_of(d)))
		return SLICE_EMPTY;
	return slice_of(json_string_value(json_of(d)), json_string_length(json_of(d)));
}

bool doc_int(const struct doc *d, int64_t *out)
{
	if (!json_is_integer(json_of(d)))
		return false;
	*out = json_integer_value(json_of(d));
	return true;
}

bool doc_real(const struct doc *d, double *out)
{
	if (!json_is_number(json_of(d)))
		return false;
	*out = json_number_value(json_of(d));
	return true;
}

bool doc_bool(const struct doc *d, bool *out)
{
	if (!json_is_boolean(json_of(d)))
		return false;
	*out = json_is_true(json_of(d));
	return true;
}

struct slice doc_get_text(const struct doc *object, const char *key)
{
	return doc_text(doc_get(object, key));
}

int64_t doc_get_int(const struct doc *object, const char *key, int64_t fallback)
{
	(void)doc_int(doc_get(object, key), &fallback); /* not there: the fallback stays */
	return fallback;
}

double doc_get_real(const struct doc *object, const char *key, double fallback)
{
	(void)doc_real(doc_get(object, key), &fallback); /* not there: the fallback stays */
	return fallback;
}

bool doc_get_bool(const struct doc *object, const char *key, bool fallback)
{
	(void)doc_bool(doc_get(object, key), &fallback); /* not there: the fallback stays */
	return fallback;
}
