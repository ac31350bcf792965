/*
 * dead: the headers of a dead letter.
 *
 * kafka_dlt-* are Spring's names, __connect.errors.* those of Kafka Connect: tools for dead letters know one or the other.
 * Both carry numbers as decimal text here.  The MAC covers origin, code and bytes, each with its length where it could
 * run into the next.
 */
#include "model/dead.h"

#include <stdio.h>

#include "base/base.h"

enum { VALUE_BYTES = 512 };

/* What the MAC covers, beside what lineage_sign_detached() adds itself (signer, checker, epoch). */
static enum rc covered(const struct dead *d, struct slice bytes, struct buf *out)
{
	struct sha256 hash = digest_sha256(bytes);
	enum rc rc;

	rc = buf_printf(out, "%zu %zu %lld %lld %lld ", d->topic.len, d->code.len, (long long)d->partition,
	                (long long)d->offset, (long long)d->timestamp_ms);
	if (rc == RC_OK)
		rc = buf_add_slice(out, d->topic);
	if (rc == RC_OK)
		rc = buf_add_slice(out, d->code);
	return rc == RC_OK ? buf_add(out, hash.bytes, SHA256_BYTES) : rc;
}

struct adder {
	struct buf *scratch;
	struct header *out;
	size_t at[DEAD_HEADERS]; /* place of each value: scratch moves while it grows */
	size_t count;
	enum rc rc;
};

static void add(struct adder *a, const char *name, struct slice value)
{
	if (a->rc != RC_OK)
		return;
	if (a->count == DEAD_HEADERS) {
		a->rc = RC_NEVER;
		return;
	}
	a->at[a->count] = a->scratch->len;
	a->out[a->count++] = (struct header){ slice_text(name), { NULL, value.len } };
	a->rc = buf_add_slice(a->scratch, value);
}

static void add_number(struct adder *a, const char *name, int64_t value)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%lld", (long long)value);

	add(a, name, slice_of(text, (size_t)n));
}

static void add_origin(struct adder *a, const struct dead *d)
{
	struct slice message = d->message.len > VALUE_BYTES ? slice_of(d->message.ptr, VALUE_BYTES) : d->message;

	add(a, "kafka_dlt-original-topic", d->topic);
	add_number(a, "kafka_dlt-original-partition", d->partition);
	add_number(a, "kafka_dlt-original-offset", d->offset);
	add_number(a, "kafka_dlt-original-timestamp", d->timestamp_ms);
	add(a, "kafka_dlt-original-consumer-group", d->group);
	add(a, "kafka_dlt-exception-fqcn", d->code);
	add(a, "kafka_dlt-exception-message", message);
	add(a, "__connect.errors.topic", d->topic);
	add_number(a, "__connect.errors.partition", d->partition);
	add_number(a, "__connect.errors.offset", d->offset);
	add(a, "__connect.errors.exception.class.name", d->code);
	add(a, "__connect.errors.exception.message", message);
	add(a, "airlock-dead-by", slice_text(program_name(d->by)));
	add(a, "airlock-dead-code", d->code);
}

enum rc dead_write(const struct keyring *k, const struct dead *d, struct slice bytes, struct buf *scratch,
                   struct header out[DEAD_HEADERS], size_t *count)
{
	AUTO_BUF struct buf text = BUF_INIT(4 * VALUE_BYTES), mac = BUF_INIT(MESSAGE_MAC_TEXT_BYTES + 1);
	struct adder a = { .scratch = scratch, .out = out };
	enum rc rc;

	if (d->topic.len == 0 || d->topic.len > VALUE_BYTES || d->group.len > VALUE_BYTES || d->code.len == 0 ||
	    d->code.len > ERR_CODE_BYTES || d->by != keyring_self(k))
		return RC_NEVER;
	rc = covered(d, bytes, &text);
	if (rc == RC_OK)
		rc = lineage_sign_detached(k, "dead", buf_slice(&text), &mac);
	if (rc != RC_OK)
		return rc;
	add_origin(&a, d);
	add_number(&a, "airlock-dead-epoch", keyring_sign_epoch(k));
	add(&a, "airlock-dead-mac", buf_slice(&mac));
	if (a.rc != RC_OK)
		return a.rc;
	for (size_t i = 0; i < a.count; i++)
		out[i].value.ptr = scratch->data + a.at[i];
	*count = a.count;
	return RC_OK;
}

static bool find(const struct header *headers, size_t count, const char *name, struct slice *out)
{
	bool found = false;

	for (size_t i = 0; i < count; i++) {
		if (!slice_is(headers[i].name, name))
			continue;
		if (found || headers[i].value.len > LIMIT_HEADER_BYTES)
			return false; /* twice: which one is meant? */
		*out = headers[i].value;
		found = true;
	}
	return found;
}

static bool find_number(const struct header *headers, size_t count, const char *name, int64_t *out)
{
	struct slice text;

	return find(headers, count, name, &text) && slice_int(text, INT64_MIN, INT64_MAX, out) == RC_OK;
}

enum rc dead_read(const struct keyring *k, const struct header *headers, size_t count, struct slice bytes,
                  struct dead *out, bool *genuine, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT(4 * LIMIT_HEADER_BYTES);
	struct dead d = { .by = PROGRAM_COUNT };
	struct slice by = SLICE_EMPTY, mac = SLICE_EMPTY;
	int64_t epoch = 0;

	if (!find(headers, count, "kafka_dlt-original-topic", &d.topic) || d.topic.len == 0 ||
	    !find_number(headers, count, "kafka_dlt-original-partition", &d.partition) || d.partition < 0 ||
	    !find_number(headers, count, "kafka_dlt-original-offset", &d.offset) || d.offset < 0)
		return err_set(err, RC_NEVER, "dead_origin", "headers that name the origin are missing or malformed");
	(void)find_number(headers, count, "kafka_dlt-original-timestamp", &d.timestamp_ms); /* 0: unknown */
	(void)find(headers, count, "kafka_dlt-original-consumer-group", &d.group);          /* empty: unknown */
	(void)find(headers, count, "kafka_dlt-exception-message", &d.message);
	(void)find(headers, count, "airlock-dead-code", &d.code);
	*genuine = find(headers, count, "airlock-dead-by", &by) && program_read(by, &d.by) && d.code.len > 0 &&
	           find(headers, count, "airlock-dead-mac", &mac) &&
	           find_number(headers, count, "airlock-dead-epoch", &epoch) && covered(&d, bytes, &text) == RC_OK &&
	           lineage_check_detached(k, d.by, epoch, "dead", buf_slice(&text), mac, err) == RC_OK;
	*out = d;
	return RC_OK;
}
