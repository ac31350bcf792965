# expect: ok
# outputs: unclosed
# collected: unclosed
# stdout: main thread late exit-2 exit-1 module gone rest
import atexit, os, sys, threading, time

with open("other.py", "w") as f:
    f.write("class Kept:\n    def __del__(self): print('module', end=' ')\nkept = Kept()\n")
sys.path.insert(0, os.getcwd())
import other


class Last:
    def __init__(self):
        self.write = sys.stdout.write

    def __del__(self):
        self.write("gone rest")


atexit.register(print, "exit-1", end=" ")
atexit.register(print, "exit-2", end=" ")
out = open("unclosed", "w")
out.write("kept")
ring = [Last()]
ring.append(ring)
print("main", end=" ")


def late():
    time.sleep(0.05)
    print("thread late", end=" ")


threading.Thread(target=late).start()
del threading, time, atexit, f
