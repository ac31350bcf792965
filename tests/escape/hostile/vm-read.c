// expect: violation
// refused: process_vm_readv
#define _GNU_SOURCE
#include <sys/uio.h>
int main(void) { char b[8]; struct iovec l = { b, 8 }, r = { (void *)0x400000, 8 }; return process_vm_readv(1, &l, 1, &r, 1, 0) < 0; }
