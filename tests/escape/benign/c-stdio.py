# expect: ok
# stdout: from C
import ctypes

ctypes.CDLL(None).printf(b"from C")
