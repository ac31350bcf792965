// expect: timeout cpu_limit
// limits: wall_ms=800
int main(void) { for (;;) { } }
