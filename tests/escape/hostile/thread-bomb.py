# expect: pids_limit
# gvisor: timeout memory_limit cpu_limit pids_limit
# limits: wall_ms=3000 pids=32
import threading, time
for _ in range(10000):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
