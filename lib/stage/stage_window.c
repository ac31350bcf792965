#include "stage/stage_window.h"

#include <assert.h>

enum { KIND_BITMAP = 1, KIND_RUNS = 2, HEAD_BYTES = 1 + WINDOW_ID_BYTES + 8, RAW_BYTES = HEAD_BYTES + LIMIT_WINDOW / 8 };

static bool bit(const struct window *w, int64_t offset)
{
	unsigned place = (unsigned)(offset % LIMIT_WINDOW);

	return (w->done[place / 64] >> (place % 64)) & 1u;
}

static void set_bit(struct window *w, int64_t offset, bool on)
{
	unsigned place = (unsigned)(offset % LIMIT_WINDOW);

	if (on)
		w->done[place / 64] |= (uint64_t)1 << (place % 64);
	else
		w->done[place / 64] &= ~((uint64_t)1 << (place % 64));
}

void window_init(struct window *w, int64_t base)
{
	memset(w, 0, sizeof(*w));
	w->base = w->next = w->seen = base;
}

/* Move base over what is done; its bits become free for offsets a window further. */
static void advance(struct window *w)
{
	while (w->base < w->next && bit(w, w->base)) {
		set_bit(w, w->base, false);
		w->base++;
	}
	if (w->seen < w->base)
		w->seen = w->base;
}

enum window_take window_take(struct window *w, int64_t offset)
{
	bool done;

	assert(offset >= 0);
	if (w->base == WINDOW_UNKNOWN)
		w->base = w->next = w->seen = offset;
	if (offset < w->base)
		return WINDOW_DONE;
	if (offset < w->seen)
		return bit(w, offset) ? WINDOW_DONE : WINDOW_HELD;
	if (w->base == w->next)
		w->base = w->next = w->seen = offset; /* nothing is in hand: however wide the gap, all of it is done */
	if (offset - w->base >= LIMIT_WINDOW)
		return WINDOW_FULL;
	for (int64_t gap = w->seen; gap < offset; gap++)
		set_bit(w, gap, true);
	done = bit(w, offset);
	w->seen = offset + 1;
	if (w->next < w->seen)
		w->next = w->seen;
	advance(w);
	return done ? WINDOW_DONE : WINDOW_NEW;
}

void window_done(struct window *w, int64_t offset)
{
	assert(offset >= w->base && offset < w->next);
	set_bit(w, offset, true);
	if (offset == w->base)
		advance(w);
}

bool window_is_full(const struct window *w)
{
	return w->next - w->base >= LIMIT_WINDOW;
}

bool window_is_half(const struct window *w)
{
	return w->next - w->base <= LIMIT_WINDOW / 2;
}

/* ---- the map ---- */

static void put_head(unsigned char *raw, int kind, const unsigned char *id, int64_t base)
{
	raw[0] = (unsigned char)kind;
	memcpy(raw + 1, id, WINDOW_ID_BYTES);
	for (int i = 0; i < 8; i++)
		raw[1 + WINDOW_ID_BYTES + i] = (unsigned char)((uint64_t)base >> (56 - 8 * i));
}

static int64_t get_base(const unsigned char *raw)
{
	uint64_t base = 0;

	for (int i = 0; i < 8; i++)
		base = base << 8 | raw[1 + WINDOW_ID_BYTES + i];
	return (int64_t)base;
}

/* Bytes written, or 0 if they would not be fewer than max. */
static size_t put_number(unsigned char *at, size_t max, unsigned value)
{
	size_t n = 0;

	do {
		if (n == max)
			return 0;
		at[n++] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		value >>= 7;
	} while (value > 0);
	return n;
}

static size_t put_runs(const struct window *w, int64_t top, unsigned char *at, size_t max)
{
	size_t len = 0;
	int64_t o = w->base;

	for (bool done = false; o < top; done = !done) {
		int64_t from = o;
		size_t n;

		while (o < top && bit(w, o) == done)
			o++;
		n = put_number(at + len, max - len, (unsigned)(o - from));
		if (n == 0)
			return 0;
		len += n;
	}
	return len;
}

enum rc window_write(const struct window *w, const unsigned char id[WINDOW_ID_BYTES], struct buf *out)
{
	unsigned char bitmap[RAW_BYTES] = { 0 }, runs[RAW_BYTES];
	size_t bytes, len;
	int64_t top = w->next;

	while (top > w->base && !bit(w, top - 1))
		top--;
	assert(w->base >= 0);
	bytes = (size_t)(top - w->base + 7) / 8;
	put_head(bitmap, KIND_BITMAP, id, w->base);
	for (int64_t o = w->base; o < top; o++) {
		if (bit(w, o))
			bitmap[HEAD_BYTES + (size_t)(o - w->base) / 8] |= (unsigned char)(1u << ((o - w->base) % 8));
	}
	put_head(runs, KIND_RUNS, id, w->base);
	len = put_runs(w, top, runs + HEAD_BYTES, bytes);
	if (len > 0 && len < bytes)
		return buf_add_base64(out, slice_of(runs, HEAD_BYTES + len));
	return buf_add_base64(out, slice_of(bitmap, HEAD_BYTES + bytes));
}

static void read_bitmap(struct slice raw, struct window *w)
{
	for (size_t i = 0; i < raw.len * 8 && i < LIMIT_WINDOW; i++) {
		if (((unsigned char)raw.ptr[i / 8] >> (i % 8)) & 1u) {
			set_bit(w, w->base + (int64_t)i, true);
			w->next = w->base + (int64_t)i + 1;
		}
	}
}

static bool read_runs(struct slice raw, struct window *w)
{
	size_t at = 0, o = 0;

	for (bool done = false; at < raw.len; done = !done) {
		size_t value = 0;
		unsigned shift = 0;
		unsigned char byte;

		do {
			if (at == raw.len || shift > 14)
				return false;
			byte = (unsigned char)raw.ptr[at++];
			value |= (size_t)(byte & 0x7f) << shift;
			shift += 7;
		} while (byte & 0x80);
		if (value > LIMIT_WINDOW - o)
			return false;
		for (size_t i = 0; done && i < value; i++)
			set_bit(w, w->base + (int64_t)(o + i), true);
		o += value;
		if (done)
			w->next = w->base + (int64_t)o;
	}
	return true;
}

enum rc window_read(struct slice metadata, const unsigned char id[WINDOW_ID_BYTES], int64_t committed, struct window *w,
                    struct err *err)
{
	AUTO_BUF struct buf raw = BUF_INIT(RAW_BYTES);
	struct slice body;

	window_init(w, committed);
	if (metadata.len == 0)
		return RC_OK; /* committed by someone who keeps no map */
	if (buf_add_unbase64(&raw, metadata) != RC_OK || raw.len < HEAD_BYTES)
		return err_set(err, RC_NEVER, "map_unreadable", "commit metadata of %zu bytes is no map", metadata.len);
	if (memcmp(raw.data + 1, id, WINDOW_ID_BYTES) != 0)
		return err_set(err, RC_NEVER, "map_other_topic", "the commit is of a topic that had this name before");
	if (get_base((unsigned char *)raw.data) != committed)
		return err_set(err, RC_NEVER, "map_unreadable", "the map begins at %lld, the commit at %lld",
		               (long long)get_base((unsigned char *)raw.data), (long long)committed);
	body = slice_of(raw.data + HEAD_BYTES, raw.len - HEAD_BYTES);
	if (raw.data[0] == KIND_BITMAP && body.len <= LIMIT_WINDOW / 8) {
		read_bitmap(body, w);
	} else if (raw.data[0] != KIND_RUNS || !read_runs(body, w)) {
		window_init(w, committed);
		return err_set(err, RC_NEVER, "map_unreadable", "the map's body is of no known kind or too long");
	}
	advance(w);
	return RC_OK;
}
