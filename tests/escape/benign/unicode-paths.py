# expect: ok
# stdout: größe
import os
open("größe-数.txt", "w").write("x")
print(os.listdir("."))
