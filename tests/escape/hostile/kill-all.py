# expect: signal nonzero_exit ok
import os, signal
os.kill(-1, signal.SIGTERM)
