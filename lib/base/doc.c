/*
 * What exists: struct doc, which is yyjson's yyjson_val under another name, so that no other file knows yyjson.
 * Who owns it: as doc.h says; yyjson keeps all values of a document in one piece of memory, behind its yyjson_doc, and a copy of the
 * text in another.
 * What never happens here: bytes parsed whose number was not checked before; foreign content in a reason (line and column alone); a failed
 * allocation (mem).
 */
#include <yyjson.h> /* first: it has members of names that base.h bans */

#include "base/doc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum {
	READ_BYTES = 65536,
	MUCH_BYTES = 256 * 1024 * 1024,
	FEW_MEMBERS = 24,                                                                  /* more are sorted */
	HEAD_VALUES = (sizeof(yyjson_doc) + sizeof(yyjson_val) - 1) / sizeof(yyjson_val), /* a yyjson_doc takes the place of so many */
};

static yyjson_val *val_of(const struct doc *d)
{
	return (yyjson_val *)d;
}

static yyjson_doc *head_of(struct doc *root)
{
	return (yyjson_doc *)(void *)(val_of(root) - HEAD_VALUES);
}

static void *give(void *context, size_t bytes)
{
	(void)context;
	return mem_resize(NULL, bytes);
}

static void *give_more(void *context, void *old, size_t old_bytes, size_t bytes)
{
	(void)context;
	(void)old_bytes;
	return mem_resize(old, bytes);
}

static void take_back(void *context, void *p)
{
	(void)context;
	mem_free(p);
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

/* Why yyjson read no document. */
static enum rc fail_syntax(struct err *err, struct slice text, const yyjson_read_err *e)
{
	const char *at = text.ptr + (e->pos < text.len ? e->pos : text.len);
	struct slice rest = slice_of(at, (size_t)(text.ptr + text.len - at));

	if (rest.len > 0 && *at == '\0')
		return fail_at(err, "json_nul", text, at, "NUL byte");
	if (slice_utf8_step(rest) < 0)
		return fail_at(err, "json_utf8", text, at, "not UTF-8");
	switch (e->code) {
	case YYJSON_READ_ERROR_EMPTY_CONTENT:
		return fail_at(err, "json_syntax", text, at, "nothing there");
	case YYJSON_READ_ERROR_UNEXPECTED_END:
		return fail_at(err, "json_syntax", text, at, "ends too early");
	case YYJSON_READ_ERROR_UNEXPECTED_CONTENT:
		return fail_at(err, "json_syntax", text, at, "something stands behind the document");
	default:
		return fail_at(err, "json_syntax", text, at, "not JSON");
	}
}

/* Behind the string that begins at p, which is well formed. */
static const char *skip_string(const char *p)
{
	for (p++; *p != '"'; p++) {
		if (*p == '\\')
			p++;
	}
	return p + 1;
}

/* Where the index-th value of a text begins that is well formed; names count as values. */
static const char *value_at(struct slice text, size_t index)
{
	const char *p = text.ptr, *end = text.ptr + text.len;

	while (p < end) {
		if (strchr(" \t\r\n,:]}", *p) != NULL) {
			p++;
			continue;
		}
		if (index-- == 0)
			break;
		if (*p == '"') {
			p = skip_string(p);
		} else if (*p == '{' || *p == '[') {
			p++;
		} else {
			while (p < end && strchr(" \t\r\n,]}", *p) == NULL)
				p++;
		}
	}
	return p;
}

/* Where in a string that begins at p an escaped NUL stands. */
static const char *nul_in(const char *p)
{
	for (p++; memcmp(p, "\\u0000", 6) != 0; p++) {
		if (*p == '\\')
			p++;
	}
	return p;
}

static int compare_keys(const void *a, const void *b)
{
	yyjson_val *left = *(yyjson_val *const *)a, *right = *(yyjson_val *const *)b;
	size_t n = unsafe_yyjson_get_len(left), m = unsafe_yyjson_get_len(right);

	return n != m ? (n < m ? -1 : 1) : memcmp(unsafe_yyjson_get_str(left), unsafe_yyjson_get_str(right), n);
}

/* One bit of 64, by length and both ends: equal keys have the same. */
static uint64_t mark_of(yyjson_val *key)
{
	size_t n = unsafe_yyjson_get_len(key);
	const unsigned char *bytes = (const unsigned char *)unsafe_yyjson_get_str(key);

	return UINT64_C(1) << ((n * 17 + bytes[0] * 5u + (n > 0 ? bytes[n - 1] * 3u : 0)) % 64);
}

static yyjson_val *twice_of_few(yyjson_val *object, size_t count)
{
	yyjson_val *keys[FEW_MEMBERS], *key = unsafe_yyjson_get_first(object);
	uint64_t marks = 0;

	for (size_t i = 0; i < count; i++, key = unsafe_yyjson_get_next(key + 1)) {
		uint64_t mark = mark_of(key);

		keys[i] = key;
		for (size_t k = 0; (marks & mark) != 0 && k < i; k++) {
			if (compare_keys(&keys[k], &key) == 0)
				return key;
		}
		marks |= mark;
	}
	return NULL;
}

static yyjson_val *twice_of_many(yyjson_val *object, size_t count)
{
	yyjson_val **keys = mem_resize(NULL, count * sizeof(*keys)), *key = unsafe_yyjson_get_first(object), *found = NULL;

	for (size_t i = 0; i < count; i++, key = unsafe_yyjson_get_next(key + 1))
		keys[i] = key;
	qsort(keys, count, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < count && found == NULL; i++) {
		if (compare_keys(&keys[i - 1], &keys[i]) == 0)
			found = keys[i - 1] > keys[i] ? keys[i - 1] : keys[i];
	}
	mem_free(keys);
	return found;
}

/* A key of the object that an earlier one equals; NULL if all differ. */
static yyjson_val *twice(yyjson_val *object)
{
	size_t count = unsafe_yyjson_get_len(object);

	return count <= FEW_MEMBERS ? twice_of_few(object, count) : twice_of_many(object, count);
}

/* What yyjson lets pass and doc.h refuses.  Values lie one behind the other as in the text, a container's members behind it. */
static enum rc check(struct slice text, const yyjson_doc *doc, struct err *err)
{
	yyjson_val *first = doc->root, *behind = first + doc->val_read, *again;
	yyjson_val *ends[DOC_DEPTH];
	size_t depth = 0;

	for (yyjson_val *v = first; v < behind; v++) {
		while (depth > 0 && v == ends[depth - 1])
			depth--;
		switch (unsafe_yyjson_get_type(v)) {
		case YYJSON_TYPE_OBJ:
		case YYJSON_TYPE_ARR:
			if (depth == DOC_DEPTH)
				return fail_at(err, "json_too_deep", text, value_at(text, (size_t)(v - first)), "nested too deep");
			ends[depth++] = unsafe_yyjson_get_next(v);
			again = unsafe_yyjson_is_obj(v) ? twice(v) : NULL;
			if (again != NULL)
				return fail_at(err, "json_duplicate_key", text, value_at(text, (size_t)(again - first)), "the same key twice in one object");
			break;
		case YYJSON_TYPE_STR:
			if (unsafe_yyjson_get_subtype(v) != YYJSON_SUBTYPE_NOESC && memchr(v->uni.str, '\0', unsafe_yyjson_get_len(v)) != NULL)
				return fail_at(err, "json_nul", text, nul_in(value_at(text, (size_t)(v - first))), "text may not hold NUL");
			break;
		case YYJSON_TYPE_NUM:
			if (unsafe_yyjson_get_subtype(v) != YYJSON_SUBTYPE_UINT || v->uni.u64 <= INT64_MAX)
				break;
			/* fall through */
		case YYJSON_TYPE_RAW:
			return fail_at(err, "json_number", text, value_at(text, (size_t)(v - first)), "a number beyond 64 bits or not finite");
		default:
			break;
		}
	}
	return RC_OK;
}

enum rc doc_read(struct slice text, size_t max_bytes, struct doc **out, struct err *err)
{
	static const yyjson_alc memory = { give, give_more, take_back, NULL };
	yyjson_read_err e;
	yyjson_doc *doc;
	enum rc rc;

	if (text.len > max_bytes)
		return err_set(err, RC_NEVER, "json_too_big", "%zu bytes where at most %zu are allowed", text.len, max_bytes);
	if (text.len == 0)
		return err_set(err, RC_NEVER, "json_syntax", "line 1 column 1: nothing there");
	doc = yyjson_read_opts((char *)text.ptr, text.len, YYJSON_READ_BIGNUM_AS_RAW, &memory, &e); /* not in place: it only reads */
	if (doc == NULL)
		return fail_syntax(err, text, &e);
	rc = check(text, doc, err);
	if (rc != RC_OK) {
		yyjson_doc_free(doc);
		return rc;
	}
	*out = (struct doc *)doc->root;
	assert(head_of(*out) == doc);
	return RC_OK;
}

void doc_free(struct doc *d)
{
	if (d != NULL)
		yyjson_doc_free(head_of(d));
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

/* ---- writing --------------------------------------------------------------------------------------------------- */

struct writer {
	struct buf *out;
	bool pretty;
	enum rc rc;
};

static void put(struct writer *w, const char *text)
{
	if (w->rc == RC_OK)
		w->rc = buf_add_text(w->out, text);
}

static void put_break(struct writer *w, int depth)
{
	if (!w->pretty)
		return;
	put(w, "\n");
	for (int i = 0; i < depth; i++)
		put(w, "  ");
}

static void put_value(struct writer *w, yyjson_val *v, int depth);

/* The members of an array, or names and values of an object. */
static void put_members(struct writer *w, yyjson_val *container, int depth)
{
	bool named = unsafe_yyjson_is_obj(container);
	yyjson_val *v = unsafe_yyjson_get_first(container);

	put(w, named ? "{" : "[");
	for (size_t i = 0, count = unsafe_yyjson_get_len(container); i < count && w->rc == RC_OK; i++) {
		if (i > 0)
			put(w, ",");
		put_break(w, depth + 1);
		if (named) {
			put_value(w, v++, depth);
			put(w, w->pretty ? ": " : ":");
		}
		put_value(w, v, depth + 1);
		v = unsafe_yyjson_get_next(v);
	}
	if (unsafe_yyjson_get_len(container) > 0)
		put_break(w, depth);
	put(w, named ? "}" : "]");
}

/* As deep as doc_read() let it be. */
static void put_value(struct writer *w, yyjson_val *v, int depth)
{
	if (w->rc != RC_OK)
		return;
	switch (doc_type((struct doc *)v)) {
	case DOC_OBJECT:
	case DOC_ARRAY:
		put_members(w, v, depth);
		break;
	case DOC_TEXT:
		w->rc = buf_add_json(w->out, doc_text((struct doc *)v));
		break;
	case DOC_INT:
		w->rc = buf_printf(w->out, "%lld", (long long)unsafe_yyjson_get_sint(v));
		break;
	case DOC_REAL:
		w->rc = buf_add_json_real(w->out, unsafe_yyjson_get_real(v));
		break;
	case DOC_BOOL:
		put(w, unsafe_yyjson_get_bool(v) ? "true" : "false");
		break;
	case DOC_NULL:
		put(w, "null");
		break;
	case DOC_NONE:
		break;
	}
}

static enum rc write_all(const struct doc *d, bool pretty, struct buf *out)
{
	size_t before = out->len;
	struct writer w = { out, pretty, d != NULL ? RC_OK : RC_NEVER };

	put_value(&w, val_of(d), 0);
	if (w.rc != RC_OK)
		buf_cut(out, before);
	return w.rc;
}

enum rc doc_write(const struct doc *d, struct buf *out)
{
	return write_all(d, false, out);
}

enum rc doc_write_pretty(const struct doc *d, struct buf *out)
{
	return write_all(d, true, out);
}

/* ---- looking --------------------------------------------------------------------------------------------------- */

enum doc_type doc_type(const struct doc *d)
{
	if (d == NULL)
		return DOC_NONE;
	switch (unsafe_yyjson_get_type(val_of(d))) {
	case YYJSON_TYPE_OBJ:
		return DOC_OBJECT;
	case YYJSON_TYPE_ARR:
		return DOC_ARRAY;
	case YYJSON_TYPE_STR:
		return DOC_TEXT;
	case YYJSON_TYPE_NUM:
		return unsafe_yyjson_is_real(val_of(d)) ? DOC_REAL : DOC_INT;
	case YYJSON_TYPE_BOOL:
		return DOC_BOOL;
	default:
		return DOC_NULL;
	}
}

const struct doc *doc_get(const struct doc *object, const char *key)
{
	return (const struct doc *)yyjson_obj_getn(val_of(object), key, strlen(key));
}

size_t doc_count(const struct doc *array_or_object)
{
	return yyjson_is_ctn(val_of(array_or_object)) ? unsafe_yyjson_get_len(val_of(array_or_object)) : 0;
}

const struct doc *doc_at(const struct doc *array, size_t index)
{
	return (const struct doc *)yyjson_arr_get(val_of(array), index);
}

/* Behind the value that was given last; NULL behind the last one. */
static yyjson_val *next_of(yyjson_val *container, void *last)
{
	yyjson_val *next = last != NULL ? unsafe_yyjson_get_next(last) : unsafe_yyjson_get_first(container);

	return next != unsafe_yyjson_get_next(container) ? next : NULL;
}

bool doc_item(const struct doc *array, void **at, const struct doc **value)
{
	yyjson_val *next = yyjson_is_arr(val_of(array)) ? next_of(val_of(array), *at) : NULL;

	if (next == NULL)
		return false;
	*value = (const struct doc *)next;
	*at = next;
	return true;
}

bool doc_next(const struct doc *object, void **at, const char **key, const struct doc **value)
{
	yyjson_val *next = yyjson_is_obj(val_of(object)) ? next_of(val_of(object), *at) : NULL;

	if (next == NULL)
		return false;
	*key = unsafe_yyjson_get_str(next);
	*value = (const struct doc *)(next + 1);
	*at = next + 1;
	return true;
}

struct slice doc_text(const struct doc *d)
{
	if (!yyjson_is_str(val_of(d)))
		return SLICE_EMPTY;
	return slice_of(unsafe_yyjson_get_str(val_of(d)), unsafe_yyjson_get_len(val_of(d)));
}

bool doc_int(const struct doc *d, int64_t *out)
{
	if (!yyjson_is_int(val_of(d)))
		return false;
	*out = unsafe_yyjson_get_sint(val_of(d)); /* none is beyond: check() saw to it */
	return true;
}

bool doc_real(const struct doc *d, double *out)
{
	if (!yyjson_is_num(val_of(d)))
		return false;
	*out = unsafe_yyjson_get_num(val_of(d));
	return true;
}

bool doc_bool(const struct doc *d, bool *out)
{
	if (!yyjson_is_bool(val_of(d)))
		return false;
	*out = unsafe_yyjson_get_bool(val_of(d));
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
