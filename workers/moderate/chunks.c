#include "chunks.h"

enum { CHARACTER_BYTES = 4 };

/* The next place at or before `at` where a character begins; `at` itself if there is none within a character's length. */
static size_t step_back(struct slice text, size_t at)
{
	for (size_t i = 0; i < CHARACTER_BYTES && i < at; i++) {
		if (((unsigned char)text.ptr[at - i] & 0xc0) != 0x80)
			return at - i;
	}
	return at;
}

bool chunks_next(struct chunks *c, struct slice *out)
{
	size_t left = c->text.len - c->at, end;

	if (left == 0)
		return false;
	if (left <= c->bytes) {
		*out = slice_of(c->text.ptr + c->at, left);
		c->at = c->text.len;
		return true;
	}
	end = step_back(c->text, c->at + c->bytes);
	*out = slice_of(c->text.ptr + c->at, end - c->at);
	c->at = step_back(c->text, end - c->overlap);
	return true;
}

size_t chunks_count(struct slice text, size_t bytes, size_t overlap)
{
	struct chunks c = { .text = text, .bytes = bytes, .overlap = overlap };
	struct slice piece;
	size_t n = 0;

	while (chunks_next(&c, &piece))
		n++;
	return n;
}
