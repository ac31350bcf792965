/*
 * pieces: memory for many small things that are born and die together, as the values of a JSON document.
 *
 * A piece is cut off the front of a block of 16 KiB; the block is used again when the last of its pieces is free.  A document of 150 values
 * costs 150 additions and subtractions, and its values lie side by side; a general allocator took a third of a worker's time for them.
 * The price: one piece that lives on keeps its block.  A piece is freed by the thread that made it.  AddressSanitizer builds give each
 * piece memory of its own, so that it sees what is wrong.
 */
#ifndef AIRLOCK_PIECES_H
#define AIRLOCK_PIECES_H

#include "base/base.h"

MUSTCHECK void *pieces_new(size_t bytes); /* not zeroed, aligned to 8; ends the process as mem_new() does */
void pieces_free(void *piece);            /* NULL is fine */

#endif
