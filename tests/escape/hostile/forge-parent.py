# expect: wrong_answer violation
# test: assert f(2) == 4
# The test's process has no file that we could open and takes no call of ours.
import os, ctypes
libc = ctypes.CDLL(None, use_errno=True)
def f(x):
    parent = os.getppid()
    for name in ("mem", "fd/1", "environ", "maps"):
        try:
            os.open(f"/proc/{parent}/{name}", os.O_RDWR)
            return 4
        except OSError:
            pass
    for request in (16, 0x4206):
        if libc.ptrace(request, parent, 0, 0) == 0:
            return 4
    return 5
