// expect: violation
// refused: reboot
// Each refusal costs the supervisor, outside of our account: there must be an end to it.
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	for (long i = 0; i < 100000000; i++)
		(void)syscall(SYS_reboot, 0, 0, 0, 0);
	return 0;
}
