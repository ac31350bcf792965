# expect: nonzero_exit
open("/proc/self/exe", "r+b").write(b"x")
