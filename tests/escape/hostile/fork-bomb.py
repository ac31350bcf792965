# expect: pids_limit
# gvisor: memory_limit timeout cpu_limit
# limits: wall_ms=1500 pids=32
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
