#include "producers/cli/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <unistd.h>

#include "base/mem.h"

#include "producers/cli/cli.h"

enum { LINE_BYTES = 40 * 1024 * 1024, NAME_BYTES = 128, KEY_BYTES = NAME_BYTES + 24 };

/* ---- a set of "custom_id sample" ---- */

struct seen { void *root; };

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static char *key_of(struct slice custom_id, int sample)
{
	char text[KEY_BYTES];

	(void)snprintf(text, sizeof(text), "%d %.*s", sample, (int)(custom_id.len < NAME_BYTES ? custom_id.len : NAME_BYTES), custom_id.ptr ? custom_id.ptr : "");
	return mem_text(text);
}

/* true: it was not there. */
static bool seen_add(struct seen *s, struct slice custom_id, int sample)
{
	char *key = key_of(custom_id, sample);
	char **at = tsearch(key, &s->root, by_text);
	bool fresh = at && *at == key;

	if (!fresh)
		mem_free(key);
	return fresh;
}

static bool seen_has(const struct seen *s, struct slice custom_id, int sample)
{
	char *key = key_of(custom_id, sample);
	bool has = tfind(key, (void *const *)&s->root, by_text) != NULL;

	mem_free(key);
	return has;
}

static void seen_release(struct seen *s)
{
	while (s->root) {
		char *key = *(char **)s->root;

		(void)tdelete(key, &s->root, by_text);
		mem_free(key);
	}
}

/* ---- files ---- */

/* Lines of an earlier run; a torn last one is cut off. */
static enum rc read_lines(const char *path, struct buf *out, struct err *err)
{
	size_t whole;

	if (access(path, F_OK) < 0)
		return RC_OK;
	if (cli_read_file(path, out, err) != RC_OK)
		return RC_NEVER;
	whole = out->len;
	while (whole > 0 && out->data[whole - 1] != '\n')
		whole--;
	if (whole < out->len && truncate(path, (off_t)whole) < 0)
		return err_set(err, RC_NEVER, "file", "%s: cannot cut its torn last line: %s", path, strerror(errno));
	buf_cut(out, whole);
	return RC_OK;
}

static enum rc append(FILE *f, const struct draft *d, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT(LINE_BYTES);

	if (draft_write(d, &text) != RC_OK || buf_add_text(&text, "\n") != RC_OK)
		return err_set(err, RC_NEVER, "line", "a line does not fit");
	if (fwrite(text.data, 1, text.len, f) != text.len || fflush(f) != 0)
		return err_set(err, RC_NEVER, "file", "cannot write: %s", strerror(errno));
	return RC_OK;
}

/* ---- output lines ---- */

/* A sample below 0 is a line of the input that never became a request: it must not be taken for the request of the same custom_id. */
static enum rc write_line(struct batch *b, struct slice custom_id, int sample, long line, const char *id, int status, const struct doc *body,
                          const char *code, struct slice message, struct err *err)
{
	AUTO_DRAFT struct draft *d = draft_new_object();
	bool done = body && status == 200 && slice_is(doc_get_text(body, "status"), "completed");
	char request[96];

	(void)snprintf(request, sizeof(request), "batch_req_%ld_%d", line, sample > 0 ? sample : 0); /* always fits */
	draft_set_text(d, "id", slice_text(request));
	if (custom_id.len > 0)
		draft_set_text(d, "custom_id", custom_id);
	else
		draft_set(d, "custom_id", draft_new_null());
	if (sample >= 0)
		draft_set_int(d, "sample", sample);
	else
		draft_set(d, "sample", draft_new_null());
	if (body) {
		struct draft *response = draft_new_object();

		draft_set_int(response, "status_code", status);
		draft_set_text(response, "request_id", slice_text(id));
		draft_set(response, "body", draft_copy_of(body));
		draft_set(d, "response", response);
	} else {
		draft_set(d, "response", draft_new_null());
	}
	if (code) {
		struct draft *error = draft_new_object();

		draft_set_text(error, "code", slice_text(code));
		draft_set_text(error, "message", message);
		draft_set_int(error, "line", line);
		draft_set(d, "error", error);
	} else {
		draft_set(d, "error", draft_new_null());
	}
	*(done ? &b->completed : &b->other) += 1;
	return append(b->out, d, err);
}

enum rc batch_finish(struct batch *b, struct batch_item *i, int status, const struct doc *body, const char *code, struct slice message,
                     struct err *err)
{
	i->state = BATCH_DONE;
	b->done++;
	return write_line(b, i->custom_id, i->sample, i->line, i->id, status, body, code, message, err);
}

enum rc batch_accepted(struct batch *b, struct batch_item *i, struct slice id, struct err *err)
{
	AUTO_DRAFT struct draft *d = draft_new_object();

	i->state = BATCH_ACCEPTED;
	i->tries = 0;
	(void)snprintf(i->id, sizeof(i->id), "%.*s", (int)id.len, id.ptr); /* ids are short; a cut one would be 404 */
	draft_set_text(d, "custom_id", i->custom_id);
	draft_set_int(d, "sample", i->sample);
	draft_set_text(d, "id", slice_text(i->id));
	return append(b->state, d, err);
}

/* ---- input lines ---- */

static bool known_url(struct slice url)
{
	return slice_is(url, "/v1/responses") || slice_is(url, "/v1/airlock/runs");
}

static const char *refuse(const struct doc *d, struct slice text, struct err *why)
{
	struct slice id = doc_get_text(d, "custom_id");

	if (text.len > BATCH_BODY_BYTES)
		return "too_large";
	if (!d)
		return "json";
	(void)err_set(why, RC_NEVER, "line", "an object with custom_id (text of at most %d bytes), method POST, url and body expected", NAME_BYTES);
	if (id.len == 0 || id.len > NAME_BYTES || !slice_is(doc_get_text(d, "method"), "POST") || doc_type(doc_get(d, "body")) != DOC_OBJECT)
		return "invalid_line";
	(void)err_set(why, RC_NEVER, "line", "url must be /v1/responses or /v1/airlock/runs");
	return known_url(doc_get_text(d, "url")) ? NULL : "invalid_url";
}

/* Takes d. */
static void add_item(struct batch *b, struct doc *d, struct slice text, int sample, long line)
{
	AUTO_BUF struct buf seed = BUF_INIT(text.len + 64);
	struct sha256 sum;
	struct batch_item *i;

	if (b->count == b->cap) {
		b->cap = b->cap ? 2 * b->cap : 256;
		b->items = mem_resize(b->items, b->cap * sizeof(*b->items));
	}
	i = &b->items[b->count++];
	*i = (struct batch_item){ .custom_id = doc_get_text(d, "custom_id"), .url = doc_get_text(d, "url"), .doc = d, .sample = sample, .line = line };
	/* The same line and sample is the same request, whichever run sends it. */
	(void)!buf_printf(&seed, "%d ", sample); /* sized for both */
	(void)!buf_add_slice(&seed, text);
	sum = digest_sha256(buf_slice(&seed));
	digest_hex(&sum, i->key);
}

static enum rc read_line(struct batch *b, struct slice text, long line, int samples, struct seen *ids, const struct seen *done, struct err *err)
{
	AUTO_DOC struct doc *d = NULL;
	struct err why = { 0 };
	const char *code;
	enum rc rc = RC_OK;

	if (text.len <= BATCH_BODY_BYTES && doc_read(text, BATCH_BODY_BYTES, &d, &why) != RC_OK)
		d = NULL;
	code = refuse(d, text, &why);
	if (code && strcmp(code, "too_large") == 0)
		(void)err_set(&why, RC_NEVER, "too_large", "the line has %zu bytes; at most %d are taken", text.len, BATCH_BODY_BYTES);
	if (!code && !seen_add(ids, doc_get_text(d, "custom_id"), 0)) {
		code = "duplicate_custom_id";
		(void)err_set(&why, RC_NEVER, code, "an earlier line has the same custom_id");
	}
	/* A bad line is told by every run anew, but stands in the output once: under sample -1. */
	if (code) {
		char name[32];

		(void)snprintf(name, sizeof(name), "line %ld", line);
		if (!seen_has(done, slice_text(name), -1))
			rc = write_line(b, doc_get_text(d, "custom_id"), -1, line, "", 0, NULL, code, slice_text(why.text), err);
	}
	for (int s = 0; rc == RC_OK && !code && s < samples; s++) {
		struct doc *own = NULL;

		if (seen_has(done, doc_get_text(d, "custom_id"), s))
			continue;
		rc = doc_read(text, BATCH_BODY_BYTES, &own, err);
		if (rc == RC_OK)
			add_item(b, own, text, s, line);
	}
	return rc;
}

/* What the output of an earlier run holds already. */
static void take_done(struct batch *b, struct slice rest, struct seen *done)
{
	struct slice line;

	while (slice_cut(&rest, '\n', &line)) {
		AUTO_DOC struct doc *d = NULL;
		struct err ignored;
		int64_t n = -1, sample;
		char name[32];

		if (doc_read(line, LINE_BYTES, &d, &ignored) != RC_OK)
			continue;
		(void)doc_int(doc_get(doc_get(d, "error"), "line"), &n);
		(void)snprintf(name, sizeof(name), "line %lld", (long long)n);
		if (doc_int(doc_get(d, "sample"), &sample))
			(void)seen_add(done, doc_get_text(d, "custom_id"), (int)sample); /* a second time changes nothing, here and below */
		else
			(void)seen_add(done, slice_text(name), -1);
		*(slice_is(doc_get_text(doc_get(doc_get(d, "response"), "body"), "status"), "completed") ? &b->completed : &b->other) += 1;
		b->known++;
	}
}

/* Accepted, but not yet finished, by an earlier run. */
static void take_state(struct batch *b, struct slice rest)
{
	struct slice line;
	size_t at = 0; /* requests are accepted nearly in their order: the next one is most often the one looked for */

	while (slice_cut(&rest, '\n', &line)) {
		AUTO_DOC struct doc *d = NULL;
		struct err ignored;

		if (doc_read(line, LINE_BYTES, &d, &ignored) != RC_OK)
			continue;
		for (size_t i = 0; i < b->count; i++) {
			struct batch_item *item = &b->items[(at + i) % b->count];
			struct slice id = doc_get_text(d, "id");

			if (item->sample == doc_get_int(d, "sample", 0) && slice_equal(item->custom_id, doc_get_text(d, "custom_id"))) {
				(void)snprintf(item->id, sizeof(item->id), "%.*s", (int)id.len, id.ptr);
				item->state = BATCH_ACCEPTED;
				at += i + 1;
				break;
			}
		}
	}
}

enum rc batch_open(const char *in_path, const char *out_path, int samples, struct batch *b, struct err *err)
{
	AUTO_BUF struct buf out = BUF_INIT(4u * BATCH_BYTES - 65536), state = BUF_INIT(BATCH_BYTES);
	struct seen ids = { NULL }, done = { NULL };
	struct slice rest, line;
	char state_path[4096];
	long n = 0;
	enum rc rc;

	*b = (struct batch){ .input = BUF_INIT(BATCH_BYTES) };
	(void)snprintf(state_path, sizeof(state_path), "%s.state", out_path); /* a cut path fails to open */
	rc = cli_read_file(in_path, &b->input, err);
	if (rc == RC_OK)
		rc = read_lines(out_path, &out, err);
	if (rc == RC_OK)
		rc = read_lines(state_path, &state, err);
	if (rc != RC_OK)
		return rc;
	b->out = fopen(out_path, "ae");
	b->state = fopen(state_path, "ae");
	if (!b->out || !b->state)
		return err_set(err, RC_NEVER, "file", "%s: %s", b->out ? state_path : out_path, strerror(errno));
	take_done(b, buf_slice(&out), &done);
	rest = buf_slice(&b->input);
	while (rc == RC_OK && slice_cut(&rest, '\n', &line)) {
		n++;
		if (slice_trim(line).len == 0)
			continue;
		if (n > BATCH_LINES)
			rc = err_set(err, RC_NEVER, "too_many_lines", "%s: more than %d lines", in_path, BATCH_LINES);
		else
			rc = read_line(b, line, n, samples, &ids, &done, err);
	}
	take_state(b, buf_slice(&state));
	seen_release(&ids);
	seen_release(&done);
	return rc;
}

void batch_close(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		doc_free(b->items[i].doc);
	if (b->out)
		(void)fclose(b->out); /* every line was flushed and checked */
	if (b->state)
		(void)fclose(b->state);
	mem_free(b->items);
	buf_release(&b->input);
}
