/*
 * mem: allocation that succeeds or ends the process.  A small allocation that fails means the machine is out of
 * memory: the process ends with a message, and the broker redelivers what it held.  Sizes that come from outside
 * must have met a ceiling first.  Any thread.
 */
#ifndef AIRLOCK_MEM_H
#define AIRLOCK_MEM_H

#include "base/base.h"

MUSTCHECK void *mem_new(size_t bytes);                    /* zeroed; 0 bytes gives a valid pointer */
MUSTCHECK void *mem_new_array(size_t count, size_t bytes); /* zeroed; ends the process on overflow */
MUSTCHECK void *mem_resize(void *old, size_t bytes);      /* not zeroed beyond the old size */
MUSTCHECK char *mem_text(const char *text);               /* copy of a C string */
MUSTCHECK char *mem_text_n(const char *bytes, size_t n);  /* copy of n bytes, NUL added */
void mem_free(void *p);                                   /* NULL is fine */
void mem_wipe(void *p, size_t bytes);                     /* overwrite a secret; never optimised away */

/* Tests only: the n-th allocation from now calls abort_fn instead (1 = the next).  0 switches off. */
void mem_fail_after(long n, void (*abort_fn)(void));
long mem_fail_left(void); /* allocations until then; 0: it is off, or has been */

#endif
