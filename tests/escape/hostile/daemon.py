# expect: ok
# stdout: parent ends
import os, time, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 256)
        time.sleep(600)
    os._exit(0)
print("parent ends", flush=True)
