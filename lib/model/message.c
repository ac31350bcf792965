/*
 * message: cut bytes into entries and check the way that they tell.
 *
 * Nothing is allocated and no JSON is parsed: a content line is known by its first two members, which our writers put
 * first; a MAC line has one fixed layout.  What is checked here is shape alone: who may say what after whom.  Whether it
 * is true (MACs, allows, hashes) is lineage.c's business, and lineage.c relies on the order that this file allows.
 *
 * The order, within an attempt.  SCREEN -> INSPECT is an own program, INSPECT -> REVIEW asks for no execution; whether
 * the signed request says so is checked by lineage_demand(), as is what a gate or a person decided.
 *
 *   request, repair -> screen                     screen -> infer | inspect | decision
 *   infer           -> inspect                    inspect -> run | review | decision
 *   run             -> review | repair            review -> decision
 *   decision        -> what follows its gate      end: instead of the line of whoever is next, and then nothing more
 *   alone: end (by the gateway), control, alert
 */
#include "model/message.h"

#include <string.h>

#include "base/base.h"

#define BIT(x) (1u << (x))

static const char *const kind_names[KIND_COUNT] = {
	[KIND_REQUEST] = "request",   [KIND_SCREEN] = "screen",     [KIND_INFER] = "infer", [KIND_INSPECT] = "inspect",
	[KIND_RUN] = "run",           [KIND_REVIEW] = "review",     [KIND_REPAIR] = "repair",
	[KIND_DECISION] = "decision", [KIND_END] = "end",           [KIND_CONTROL] = "control",
	[KIND_ALERT] = "alert",
};

static const struct kind_rule {
	unsigned signers;   /* who may write it */
	unsigned next;      /* what may follow */
	unsigned enders;    /* who may end the request behind it */
	size_t max_bytes;   /* of the line */
	bool first;         /* may open a message */
} rules[KIND_COUNT] = {
	[KIND_REQUEST] = { BIT(PROGRAM_GATEWAY), BIT(KIND_SCREEN) | BIT(KIND_END), BIT(PROGRAM_SCREEN),
	                   LIMIT_REQUEST_BYTES, true },
	[KIND_SCREEN] = { BIT(PROGRAM_SCREEN), BIT(KIND_INFER) | BIT(KIND_INSPECT) | BIT(KIND_DECISION) | BIT(KIND_END),
	                  BIT(PROGRAM_INFER) | BIT(PROGRAM_INSPECT), LIMIT_VERDICT_BYTES, false },
	[KIND_INFER] = { BIT(PROGRAM_INFER), BIT(KIND_INSPECT) | BIT(KIND_END), BIT(PROGRAM_INSPECT), LIMIT_INFER_BYTES,
	                 false },
	[KIND_INSPECT] = { BIT(PROGRAM_INSPECT), BIT(KIND_RUN) | BIT(KIND_REVIEW) | BIT(KIND_DECISION) | BIT(KIND_END),
	                   BIT(PROGRAM_RUN) | BIT(PROGRAM_REVIEW), LIMIT_VERDICT_BYTES, false },
	[KIND_RUN] = { BIT(PROGRAM_RUN), BIT(KIND_REVIEW) | BIT(KIND_REPAIR) | BIT(KIND_END), BIT(PROGRAM_REVIEW),
	               LIMIT_RUN_BYTES, false },
	[KIND_REVIEW] = { BIT(PROGRAM_REVIEW), BIT(KIND_DECISION), 0, LIMIT_VERDICT_BYTES, false },
	[KIND_REPAIR] = { BIT(PROGRAM_REVIEW), BIT(KIND_SCREEN) | BIT(KIND_END), BIT(PROGRAM_SCREEN),
	                  LIMIT_REPAIR_TEXT_BYTES + LIMIT_END_BYTES, false },
	/* next and enders: those of the gate before it, see way_step() */
	[KIND_DECISION] = { BIT(PROGRAM_GATEWAY), 0, 0, LIMIT_END_BYTES, false },
	[KIND_END] = { BIT(PROGRAM_GATEWAY), 0, 0, LIMIT_END_BYTES, true }, /* signers: when it opens a message */
	[KIND_CONTROL] = { BIT(PROGRAM_GATEWAY), 0, 0, LIMIT_END_BYTES, true },
	[KIND_ALERT] = { BIT(PROGRAM_MONITOR), 0, 0, LIMIT_END_BYTES, true },
};

const char *kind_name(enum kind k)
{
	return (unsigned)k < KIND_COUNT ? kind_names[k] : "?";
}

/* ---- reading along a line: each takes its piece off the front of *rest or answers false ---------------------------- */

static bool eat(struct slice *rest, const char *text)
{
	size_t n = strlen(text);

	if (rest->len < n || memcmp(rest->ptr, text, n) != 0)
		return false;
	*rest = slice_of(rest->ptr + n, rest->len - n);
	return true;
}

static bool eat_word(struct slice *rest, struct slice *word)
{
	size_t n = 0;

	while (n < rest->len && rest->ptr[n] >= 'a' && rest->ptr[n] <= 'z')
		n++;
	if (n == 0)
		return false;
	*word = slice_of(rest->ptr, n);
	*rest = slice_of(rest->ptr + n, rest->len - n);
	return true;
}

/* A decimal without leading zero. */
static bool eat_number(struct slice *rest, int64_t max, int64_t *out)
{
	size_t n = 0;

	while (n < rest->len && rest->ptr[n] >= '0' && rest->ptr[n] <= '9')
		n++;
	if (n == 0 || rest->ptr[0] == '0' || slice_int(slice_of(rest->ptr, n), 1, max, out) != RC_OK)
		return false;
	*rest = slice_of(rest->ptr + n, rest->len - n);
	return true;
}

static bool eat_base64(struct slice *rest)
{
	if (rest->len < MESSAGE_MAC_TEXT_BYTES || rest->ptr[MESSAGE_MAC_TEXT_BYTES - 1] != '=')
		return false;
	for (size_t i = 0; i < MESSAGE_MAC_TEXT_BYTES - 1; i++) {
		char c = rest->ptr[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/'))
			return false;
	}
	*rest = slice_of(rest->ptr + MESSAGE_MAC_TEXT_BYTES, rest->len - MESSAGE_MAC_TEXT_BYTES);
	return true;
}

/* ---- lines --------------------------------------------------------------------------------------------------------- */

/* Control bytes never stand raw in JSON; eight bytes at a time, since messages are long and all of them is looked at.
 * Collects into *high whether any byte is beyond ASCII. */
static bool line_is_clean(struct slice line, uint64_t *high)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
	size_t i = 0;

	for (; i + 8 <= line.len; i += 8) {
		uint64_t w;

		memcpy(&w, line.ptr + i, 8);
		*high |= w & tops;
		if ((w - ones * 0x20) & ~w & tops)
			return false;
	}
	for (; i < line.len; i++) {
		unsigned char c = (unsigned char)line.ptr[i];

		*high |= c & 0x80u;
		if (c < 0x20)
			return false;
	}
	return true;
}

/* {"kind":"screen","v":1 and then a comma or the end.  kind is KIND_COUNT for a word that only a newer version may know. */
static bool content_read(struct slice line, struct entry *e)
{
	struct slice rest = line, word;
	int64_t version;

	if (!eat(&rest, "{\"kind\":\"") || !eat_word(&rest, &word) || !eat(&rest, "\",\"v\":") ||
	    !eat_number(&rest, 1000000, &version) || rest.len == 0 || (rest.ptr[0] != ',' && rest.ptr[0] != '}') ||
	    line.ptr[line.len - 1] != '}')
		return false;
	e->line = line;
	e->version = (int)version;
	for (e->kind = 0; e->kind < KIND_COUNT && !slice_is(word, kind_names[e->kind]); e->kind++)
		;
	return e->kind < KIND_COUNT || version > MESSAGE_VERSION;
}

/* {"kind":"mac","v":1,"by":"screen","epoch":7,"infer":"<44>",...}: checkers in the order of enum program, at least one. */
static bool mac_read(struct slice line, struct entry *e)
{
	struct slice rest = line, word;
	enum program checker;
	int last = -1;

	if (line.len > LIMIT_MAC_BYTES || !eat(&rest, "{\"kind\":\"mac\",\"v\":1,\"by\":\"") || !eat_word(&rest, &word) ||
	    !program_read(word, &e->signer) || !eat(&rest, "\",\"epoch\":") || !eat_number(&rest, MESSAGE_EPOCH_MAX, &e->epoch))
		return false;
	while (eat(&rest, ",\"")) {
		if (!eat_word(&rest, &word) || !program_read(word, &checker) || (int)checker <= last || checker == e->signer ||
		    !eat(&rest, "\":\"") || !eat_base64(&rest) || !eat(&rest, "\""))
			return false;
		last = (int)checker;
	}
	e->mac = line;
	return last >= 0 && rest.len == 1 && rest.ptr[0] == '}';
}

bool message_mac_for(const struct entry *e, enum program checker, struct slice *mac)
{
	struct slice rest = e->mac, word, text;
	int64_t epoch;

	if (!eat(&rest, "{\"kind\":\"mac\",\"v\":1,\"by\":\"") || !eat_word(&rest, &word) || !eat(&rest, "\",\"epoch\":") ||
	    !eat_number(&rest, MESSAGE_EPOCH_MAX, &epoch))
		return false;
	while (eat(&rest, ",\"")) {
		if (!eat_word(&rest, &word) || !eat(&rest, "\":\""))
			return false;
		text = slice_of(rest.ptr, MESSAGE_MAC_TEXT_BYTES);
		if (!eat_base64(&rest) || !eat(&rest, "\""))
			return false;
		if (slice_is(word, program_name(checker))) {
			*mac = text;
			return true;
		}
	}
	return false;
}

/* ---- the way ------------------------------------------------------------------------------------------------------- */

struct way {
	unsigned next, enders; /* what may come now */
	bool newer;            /* an entry of a newer version went by: its order is not ours to know */
};

static bool way_step(struct way *w, const struct entry *e, bool first)
{
	unsigned signers;

	if (e->version > MESSAGE_VERSION)
		w->newer = true;
	if (w->newer)
		return true;
	if (first ? !rules[e->kind].first : !(w->next & BIT(e->kind)))
		return false;
	signers = e->kind == KIND_END && !first ? w->enders : rules[e->kind].signers;
	if (!(signers & BIT(e->signer)) || e->line.len > rules[e->kind].max_bytes)
		return false;
	if (e->kind == KIND_DECISION) {
		w->next &= ~BIT(KIND_DECISION);
	} else {
		w->next = rules[e->kind].next;
		w->enders = rules[e->kind].enders;
	}
	return true;
}

static enum rc entry_read(struct slice *rest, size_t line_number, struct entry *e, uint64_t *high, struct err *err)
{
	struct slice content, mac;

	if (!memchr(rest->ptr, '\n', rest->len) || !slice_cut(rest, '\n', &content) || !line_is_clean(content, high) ||
	    !content_read(content, e))
		return err_set(err, RC_NEVER, "message_line", "line %zu: not a line of a kind and version", line_number);
	if (rest->len == 0 || !memchr(rest->ptr, '\n', rest->len) || !slice_cut(rest, '\n', &mac) ||
	    !line_is_clean(mac, high) || !mac_read(mac, e))
		return err_set(err, RC_NEVER, "message_mac", "line %zu: not a line of MACs", line_number + 1);
	return RC_OK;
}

enum rc message_read(struct slice bytes, struct message *out, struct err *err)
{
	struct message m = { .bytes = bytes, .attempt = 1, .attempt_first = 1 };
	struct slice rest = bytes;
	struct way w = { 0 };
	uint64_t high = 0;
	enum rc rc;

	if (bytes.len == 0 || bytes.len > LIMIT_MESSAGE_BYTES)
		return err_set(err, RC_NEVER, "message_size", "%zu bytes", bytes.len);
	while (rest.len > 0) {
		struct entry *e = &m.entries[m.count];

		if (m.count == LIMIT_ENTRIES)
			return err_set(err, RC_NEVER, "message_long", "more than %d entries", LIMIT_ENTRIES);
		rc = entry_read(&rest, 2 * m.count + 1, e, &high, err);
		if (rc != RC_OK)
			return rc;
		e->signed_bytes = (size_t)(e->mac.ptr - bytes.ptr);
		if (!way_step(&w, e, m.count == 0))
			return err_set(err, RC_NEVER, "message_order", "line %zu: no place for %s by %s", 2 * m.count + 1,
			               kind_name(e->kind), program_name(e->signer));
		m.count++;
		if (e->kind == KIND_REPAIR && !w.newer) {
			m.attempt++;
			m.attempt_first = m.count;
		}
		if (m.attempt > LIMIT_ROUNDS)
			return err_set(err, RC_NEVER, "message_rounds", "more than %d attempts", LIMIT_ROUNDS);
	}
	if (high && !slice_is_utf8(bytes))
		return err_set(err, RC_NEVER, "message_utf8", "not UTF-8");
	*out = m;
	return RC_OK;
}

const struct entry *message_find(const struct message *m, enum kind k)
{
	for (size_t i = m->count; i > m->attempt_first; i--) {
		if (m->entries[i - 1].kind == k)
			return &m->entries[i - 1];
	}
	return NULL;
}

const struct entry *message_last(const struct message *m)
{
	return &m->entries[m->count - 1];
}

enum rc message_line_begin(struct buf *line, enum kind k)
{
	return buf_printf(line, "{\"kind\":\"%s\",\"v\":%d", kind_name(k), MESSAGE_VERSION);
}

bool message_has_room_for_attempt(const struct message *m)
{
	return m->attempt < LIMIT_ROUNDS && m->count + LIMIT_ATTEMPT_LINES <= LIMIT_ENTRIES &&
	       m->bytes.len + LIMIT_ATTEMPT_BYTES <= LIMIT_MESSAGE_BYTES;
}
