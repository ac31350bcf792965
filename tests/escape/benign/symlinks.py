# expect: ok
# stdout: x
import os
os.symlink("t", "l"); open("t", "w").write("x"); print(open("l").read())
