# expect: ok
# stdout: rang
import signal
signal.signal(signal.SIGALRM, lambda *a: print("rang"))
signal.setitimer(signal.ITIMER_REAL, 0.01); signal.pause()
