// expect: nonzero_exit
// refused: io_uring_setup
#include <sys/syscall.h>
#include <unistd.h>
int main(void) { char p[128] = { 0 }; return syscall(SYS_io_uring_setup, 4, p) < 0; }
