# expect: signal
# test: assert f(2) == 4
import os, signal
os.kill(os.getppid(), signal.SIGKILL)
