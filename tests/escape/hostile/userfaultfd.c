// expect: violation
// refused: userfaultfd
#include <sys/syscall.h>
#include <unistd.h>
int main(void) { return syscall(SYS_userfaultfd, 0) < 0; }
