// expect: violation
// refused: add_key
#include <sys/syscall.h>
#include <unistd.h>
int main(void) { return syscall(SYS_add_key, "user", "airlock", "x", 1, -3) < 0; }
