# expect: violation
# refused: mount
# A refusal that the program takes calmly is one all the same.
import ctypes
ctypes.CDLL(None, use_errno=True).mount(b"none", b"/tmp", b"tmpfs", 0, None)
print("nothing happened")
