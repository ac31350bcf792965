# expect: wrong_answer signal
# test: assert f(2) == 4
import os, signal
def f(x):
    os.kill(os.getppid(), signal.SIGINT)
    raise SystemExit(0)
