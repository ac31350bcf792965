/*
 * What exists: blocks, each at a multiple of BLOCK_BYTES, so that a piece's address tells its block.  Pieces are cut off the thread's
 * current block; blocks without pieces wait in the thread's list.  What does not fit a block has one of its own, which is given back at once.
 */
#include "base/pieces.h"

#include <assert.h>
#include <stdint.h>

#include "base/mem.h"

#ifdef __SANITIZE_ADDRESS__

void *pieces_new(size_t bytes)
{
	return mem_resize(NULL, bytes);
}

void pieces_free(void *piece)
{
	mem_free(piece);
}

#else

enum {
	BLOCK_BYTES = 16 * 1024,
	KEPT_MAX = 512, /* blocks without pieces: 8 MiB */
};

struct block {
	struct block *next; /* while it waits */
	struct block **thread; /* &current of whoever made it */
	size_t pieces, used, bytes;
};

static _Thread_local struct block *current, *kept;
static _Thread_local size_t kept_count;

static struct block *block_new(size_t bytes)
{
	struct block *b = kept;

	if (bytes == BLOCK_BYTES && b != NULL) {
		kept = b->next;
		kept_count--;
	} else {
		b = mem_new_aligned(BLOCK_BYTES, bytes);
		b->thread = &current;
		b->bytes = bytes;
	}
	b->pieces = 0;
	b->used = sizeof(*b);
	return b;
}

static void *cut(struct block *b, size_t bytes)
{
	void *piece = (char *)b + b->used;

	b->used += bytes;
	b->pieces++;
	return piece;
}

void *pieces_new(size_t bytes)
{
	if (bytes > PTRDIFF_MAX - 2 * BLOCK_BYTES)
		bytes = PTRDIFF_MAX - 2 * BLOCK_BYTES; /* no overflow below, and mem ends the process */
	bytes = bytes == 0 ? 8 : (bytes + 7) & ~(size_t)7;
	if (bytes > BLOCK_BYTES - sizeof(struct block))
		return cut(block_new((bytes + sizeof(struct block) + BLOCK_BYTES - 1) & ~(size_t)(BLOCK_BYTES - 1)), bytes);
	if (current == NULL || bytes > BLOCK_BYTES - current->used)
		current = block_new(BLOCK_BYTES);
	return cut(current, bytes);
}

void pieces_free(void *piece)
{
	struct block *b = (struct block *)((uintptr_t)piece & ~(uintptr_t)(BLOCK_BYTES - 1));

	if (piece == NULL)
		return;
	assert(b->thread == &current && b->pieces > 0);
	if (--b->pieces > 0)
		return;
	if (b == current) {
		b->used = sizeof(*b);
	} else if (b->bytes == BLOCK_BYTES && kept_count < KEPT_MAX) {
		b->next = kept;
		kept = b;
		kept_count++;
	} else {
		mem_free(b);
	}
}

#endif
