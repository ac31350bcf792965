// expect: violation
// refused: mknodat
#include <sys/stat.h>
#include <sys/sysmacros.h>
int main(void) { return mknod("/work/d", S_IFBLK | 0600, makedev(8, 0)) < 0; }
