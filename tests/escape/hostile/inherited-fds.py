# expect: ok
# stdout: fds: 4
import os
print("fds:", len(os.listdir("/proc/self/fd")))
