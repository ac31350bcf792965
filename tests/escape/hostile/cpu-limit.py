# expect: cpu_limit
# limits: cpu_ms=500 wall_ms=8000
import signal
signal.signal(signal.SIGXCPU, signal.SIG_IGN)
while True:
    pass
