// expect: violation
// refused: perf_event_open
#include <sys/syscall.h>
#include <unistd.h>
int main(void) { char a[128] = { 0 }; return syscall(SYS_perf_event_open, a, 0, -1, -1, 0) < 0; }
