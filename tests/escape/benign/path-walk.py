# expect: ok
# stdout: 3
import os
os.makedirs("a/b/c"); print(len(list(os.walk("a"))))
