# expect: violation
# refused: mount
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
sys.exit(0 if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0 else 1)
