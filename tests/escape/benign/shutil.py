# expect: ok
# stdout: True
import shutil, os
open("a", "w").write("x"); shutil.copy("a", "b"); shutil.move("b", "c"); print(os.path.exists("c"))
