# expect: nonzero_exit
# stdout: 0
# Told as if the program had been started by its name.
import sys, traceback
def hook(kind, error, trace):
    print(sum("become" in f.name or f.filename == "<string>" for f in traceback.extract_tb(trace)))
sys.excepthook = hook
1 / 0
