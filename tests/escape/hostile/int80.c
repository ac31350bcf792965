// expect: violation
// gvisor: nonzero_exit signal violation
int main(void) { long r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(20)); return r < 0; }
