// expect: violation
// refused: others
// More kinds than an outcome lists: the rest is counted, not dropped.
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	for (unsigned long i = 1; i < 60; i++)
		(void)syscall(SYS_unshare, i << 20);
	return 0;
}
