# expect: ok
# stdout: 5
import os
r, w = os.pipe(); os.write(w, b"x" * 5); print(len(os.read(r, 9)))
