// expect: violation
// refused: shmget
#include <sys/shm.h>
int main(void) { return shmget(IPC_PRIVATE, 4096, 0600) < 0; }
