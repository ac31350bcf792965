# expect: ok
# stdout: closed
# An interpreter that was started ahead leaves its program no way back to the jail.
import os
try:
    os.fstat(200)
    print("open")
except OSError:
    print("closed")
