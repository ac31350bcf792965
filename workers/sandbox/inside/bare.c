/* bare: what airlock-init calls, without a C library: that would cost each job more than everything else in there. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv);
void start(long *stack);

static int last_error;

int *__errno_location(void)
{
	return &last_error;
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");

static long call(long n, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long rc;

	__asm__ volatile("syscall" : "=a"(rc) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return rc;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x30, #0\n\tmov x0, sp\n\tbl start\n");

static long call(long n, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}
#else
#error "airlock-init is built with bare.c where its calls are known, and else with the C library (scripts/sandbox.mk)"
#endif

static long checked(long rc)
{
	if (rc >= 0)
		return rc;
	last_error = (int)-rc;
	return -1;
}

pid_t waitpid(pid_t pid, int *status, int options)
{
	return (pid_t)checked(call(SYS_wait4, pid, (long)status, options, 0));
}

int kill(pid_t pid, int sig)
{
	return (int)checked(call(SYS_kill, pid, sig, 0, 0));
}

int getrusage(__rusage_who_t who, struct rusage *use)
{
	return (int)checked(call(SYS_getrusage, (int)who, (long)use, 0, 0));
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	return checked(call(SYS_write, fd, (long)bytes, (long)n, 0));
}

void _exit(int code)
{
	for (;;)
		(void)call(SYS_exit_group, code, 0, 0, 0);
}

/* The compiler's own, for a struct that begins with zeroes. */
void *memset(void *at, int byte, size_t n)
{
	volatile char *p = at;

	for (size_t i = 0; i < n; i++)
		p[i] = (char)byte;
	return at;
}

void start(long *stack)
{
	_exit(main((int)stack[0], (char **)(stack + 1)));
}
