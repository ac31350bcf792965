// expect: violation
// refused: setns
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
int main(void) { return setns(open("/proc/1/ns/net", O_RDONLY), 0) < 0; }
