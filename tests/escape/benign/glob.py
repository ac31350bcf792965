# expect: ok
# stdout: ['d/x.txt']
import glob, pathlib
pathlib.Path("d").mkdir(); pathlib.Path("d/x.txt").touch(); print(glob.glob("d/*"))
