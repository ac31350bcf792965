/* upstreams_open: from settings and files to struct upstream.  Keys come from the environment or from files, never from the list itself,
 * so that the list may be shown around; no reason here quotes one. */
#include "upstreams.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"

enum { KEY_BYTES = 4096, FILE_BYTES = 1024 * 1024, PRICE_MAX = 1000000000, START_LIMIT = 16 };

static enum rc refuse(struct err *err, const char *name, const char *what)
{
	return err_set(err, RC_NEVER, "upstreams", "upstream %s: %s", name[0] ? name : "?", what);
}

/* Base URLs come with or without /v1, and some people copy the whole path. */
static enum rc set_urls(struct upstream *u, const char *url, struct err *err)
{
	static const char TAIL[] = "/chat/completions";
	size_t n = strlen(url), tail = sizeof(TAIL) - 1;
	const char *host = strstr(url, "://"), *path, *version = NULL;
	AUTO_BUF struct buf base = BUF_INIT(4096), whole = BUF_INIT(4096);

	if (!host || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) || host[3] == '\0' || host[3] == '/')
		return refuse(err, u->name, "url: http://... or https://... expected");
	while (n > 0 && url[n - 1] == '/')
		n--;
	if (n > tail && memcmp(url + n - tail, TAIL, tail) == 0)
		n -= tail;
	path = strchr(host + 3, '/');
	for (const char *p = path; p && p + 2 < url + n && !version; p = strchr(p + 1, '/'))
		if (p[1] == 'v' && isdigit((unsigned char)p[2]))
			version = p;
	if (buf_add(&base, url, n) != RC_OK || (!version && buf_add_text(&base, "/v1") != RC_OK))
		return refuse(err, u->name, "url: too long");
	if (buf_printf(&whole, "%s%s", base.data, TAIL) != RC_OK)
		return refuse(err, u->name, "url: too long");
	u->chat_url = buf_take(&whole);
	if (buf_add_text(&base, "/models") != RC_OK)
		return refuse(err, u->name, "url: too long");
	u->models_url = buf_take(&base);
	return RC_OK;
}

static enum rc set_key(struct upstream *u, struct slice key, struct err *err)
{
	AUTO_BUF struct buf header = BUF_INIT(KEY_BYTES + 64);

	key = slice_trim(key);
	if (key.len == 0)
		return RC_OK;
	for (size_t i = 0; i < key.len; i++)
		if (key.ptr[i] <= ' ' || key.ptr[i] > '~')
			return refuse(err, u->name, "the key holds a byte that no key has");
	if (buf_add_text(&header, "Authorization: Bearer ") != RC_OK || buf_add_slice(&header, key) != RC_OK)
		return refuse(err, u->name, "the key is too long");
	u->authorization = buf_take(&header);
	return RC_OK;
}

static enum rc set_key_file(struct upstream *u, const char *path, struct err *err)
{
	char key[KEY_BYTES];
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum rc rc;

	if (fd >= 0) {
		n = read(fd, key, sizeof(key));
		(void)close(fd); /* only read */
	}
	if (n <= 0)
		return err_set(err, RC_NEVER, "upstreams", "upstream %s: key_file %s: %s", u->name, path, n < 0 ? strerror(errno) : "empty");
	rc = set_key(u, slice_of(key, (size_t)n), err);
	mem_wipe(key, sizeof(key));
	return rc;
}

static enum rc set_name(struct upstream *u, struct slice name, struct err *err)
{
	if (name.len == 0 || name.len >= UPSTREAM_NAME_BYTES)
		return refuse(err, "", "name: 1 to 32 bytes expected");
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] == '\0' || !strchr("abcdefghijklmnopqrstuvwxyz0123456789_.-", name.ptr[i]))
			return refuse(err, "", "name: only a-z, 0-9, '_', '.' and '-' expected");
	memcpy(u->name, name.ptr, name.len);
	return RC_OK;
}

static void set_start(struct upstream *u)
{
	u->success_ms = u->half_open_ms = -1;
	u->limit = u->max_in_flight < START_LIMIT ? u->max_in_flight : START_LIMIT;
}

enum rc upstreams_open_one(struct upstreams *us, const char *url, const char *key, const char *model, int max_in_flight, struct price price,
                           struct err *err)
{
	struct upstream *u = &us->all[0];
	enum rc rc;

	*us = (struct upstreams){ .count = 1 };
	*u = (struct upstream){ .name = "main", .weight = 1, .max_in_flight = max_in_flight, .price = price, .tokens_parameter = "max_tokens" };
	u->model = mem_text(model);
	set_start(u);
	rc = set_urls(u, url, err);
	if (rc == RC_OK)
		rc = set_key(u, slice_text(key), err);
	if (rc != RC_OK)
		upstreams_release(us);
	return rc;
}

static enum rc read_key(struct upstream *u, const struct doc *d, struct err *err)
{
	if (doc_get(d, "key_env") && doc_get(d, "key_file"))
		return refuse(err, u->name, "key_env or key_file, not both");
	if (doc_get(d, "key_env")) {
		const char *key = getenv(doc_get_text(d, "key_env").ptr);

		return key ? set_key(u, slice_text(key), err) : refuse(err, u->name, "the variable that key_env names is not set");
	}
	return doc_get(d, "key_file") ? set_key_file(u, doc_get_text(d, "key_file").ptr, err) : RC_OK;
}

static enum rc read_one(const struct doc *d, struct upstream *u, struct err *err)
{
	static const struct doc_rule RULES[] = {
		{ "name", DOC_TEXT, true, 1, UPSTREAM_NAME_BYTES - 1, false },
		{ "url", DOC_TEXT, true, 1, 2048, false },
		{ "key_env", DOC_TEXT, false, 1, 256, false },
		{ "key_file", DOC_TEXT, false, 1, 1024, false },
		{ "model", DOC_TEXT, false, 0, 128, false },
		{ "weight", DOC_INT, false, 1, 1000, false },
		{ "max_in_flight", DOC_INT, false, 1, 4096, false },
		{ "input_price", DOC_INT, false, 0, PRICE_MAX, false },
		{ "output_price", DOC_INT, false, 0, PRICE_MAX, false },
		{ "tokens_parameter", DOC_TEXT, false, 1, 64, false },
	};
	struct slice parameter = doc_get_text(d, "tokens_parameter");
	enum rc rc = doc_check(d, "upstream", RULES, COUNT_OF(RULES), err);

	if (rc == RC_OK)
		rc = set_name(u, doc_get_text(d, "name"), err);
	if (rc != RC_OK)
		return rc;
	if (parameter.len > 0 && !slice_is(parameter, "max_tokens") && !slice_is(parameter, "max_completion_tokens"))
		return refuse(err, u->name, "tokens_parameter: max_tokens or max_completion_tokens expected");
	u->tokens_parameter = slice_is(parameter, "max_completion_tokens") ? "max_completion_tokens" : "max_tokens";
	u->weight = (int)doc_get_int(d, "weight", 1);
	u->max_in_flight = (int)doc_get_int(d, "max_in_flight", 256);
	u->price = (struct price){ doc_get_int(d, "input_price", 0), doc_get_int(d, "output_price", 0) };
	u->model = mem_text_n(doc_get_text(d, "model").ptr, doc_get_text(d, "model").len);
	set_start(u);
	rc = set_urls(u, doc_get_text(d, "url").ptr, err);
	return rc == RC_OK ? read_key(u, d, err) : rc;
}

enum rc upstreams_open_file(struct upstreams *us, const char *path, struct err *err)
{
	AUTO_DOC struct doc *list = NULL;
	enum rc rc = doc_read_file(path, FILE_BYTES, &list, err);

	*us = (struct upstreams){ .count = 0 };
	if (rc == RC_OK && (doc_type(list) != DOC_ARRAY || doc_count(list) < 1 || doc_count(list) > UPSTREAMS_MAX))
		rc = err_set(err, RC_NEVER, "upstreams", "a list of 1 to %d upstreams expected", UPSTREAMS_MAX);
	for (size_t i = 0; rc == RC_OK && i < doc_count(list); i++) {
		us->count++;
		rc = read_one(doc_at(list, i), &us->all[i], err);
		for (size_t k = 0; rc == RC_OK && k < i; k++)
			if (strcmp(us->all[k].name, us->all[i].name) == 0)
				rc = refuse(err, us->all[i].name, "the name is there twice");
	}
	if (rc != RC_OK) {
		err_prefix(err, "%s: ", path);
		upstreams_release(us);
	}
	return rc;
}

void upstreams_release(struct upstreams *us)
{
	for (size_t i = 0; i < us->count; i++) {
		struct upstream *u = &us->all[i];

		if (u->authorization)
			mem_wipe(u->authorization, strlen(u->authorization));
		mem_free(u->authorization);
		mem_free(u->chat_url);
		mem_free(u->models_url);
		mem_free(u->model);
	}
	*us = (struct upstreams){ .count = 0 };
}
