# expect: ok
# stdout: True
import time
a = time.monotonic(); time.sleep(0.001); print(time.monotonic() > a)
