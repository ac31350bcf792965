// expect: violation
// gvisor: nonzero_exit
// refused: pidfd_getfd
#include <sys/syscall.h>
#include <unistd.h>
int main(void) { return syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, 1, 0), 0, 0) < 0; }
