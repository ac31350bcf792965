# expect: ok
# stdout: ok
import mmap
m = mmap.mmap(-1, 4096); m[:2] = b"ok"; print(m[:2].decode())
