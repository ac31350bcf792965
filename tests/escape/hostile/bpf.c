// expect: violation
// refused: bpf
#include <sys/syscall.h>
#include <unistd.h>
int main(void) { return syscall(SYS_bpf, 0, 0, 0) < 0; }
