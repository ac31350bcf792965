#define AIRLOCK_MAY_ALLOCATE
#include "base/mem.h"

#include <stdatomic.h>
#include <unistd.h>

/* Tests only: allocations until the planned failure; 0 is off.  Threads count together. */
static _Atomic long fail_countdown;
static void (*_Atomic fail_call)(void);

/* Only write(2) and _exit(2): whatever runs at exit may want memory again. */
static NORETURN void mem_end(void)
{
	static const char text[] = "out of memory, ending the process\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)n; /* nowhere left to report it */
	_exit(71); /* EX_OSERR */
}

static inline void mem_count(void)
{
	void (*call)(void);

	if (__builtin_expect(atomic_load_explicit(&fail_countdown, memory_order_relaxed) == 0, 1))
		return;
	if (atomic_fetch_sub(&fail_countdown, 1) != 1)
		return;
	call = atomic_load(&fail_call);
	if (call != NULL)
		call();
	mem_end();
}

void *mem_new(size_t bytes)
{
	void *p;

	mem_count();
	p = calloc(1, bytes == 0 ? 1 : bytes);
	if (p == NULL)
		mem_end();
	return p;
}

void *mem_new_array(size_t count, size_t bytes)
{
	size_t total;

	if (__builtin_mul_overflow(count, bytes, &total))
		mem_end();
	return mem_new(total);
}

void *mem_resize(void *old, size_t bytes)
{
	void *p;

	mem_count();
	p = realloc(old, bytes == 0 ? 1 : bytes);
	if (p == NULL)
		mem_end();
	return p;
}

char *mem_text(const char *text)
{
	return mem_text_n(text, strlen(text));
}

char *mem_text_n(const char *bytes, size_t n)
{
	char *copy;

	if (n == SIZE_MAX)
		mem_end();
	copy = mem_resize(NULL, n + 1);
	if (n > 0)
		memcpy(copy, bytes, n);
	copy[n] = '\0';
	return copy;
}

void mem_free(void *p)
{
	free(p);
}

void mem_wipe(void *p, size_t bytes)
{
	if (bytes > 0)
		explicit_bzero(p, bytes);
}

void mem_fail_after(long n, void (*abort_fn)(void))
{
	atomic_store(&fail_call, abort_fn);
	atomic_store(&fail_countdown, n);
}

long mem_fail_left(void)
{
	return atomic_load(&fail_countdown);
}
