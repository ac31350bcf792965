# expect: ok
# oci: skip
# stdout: held
# needs: landlock
# What only Landlock refuses: a file of the job's own that no mount makes read-only. 
import os

try:
    with open("/proc/self/comm", "w") as f:
        f.write("mine")
    print("written, kernel", os.uname().release)
except PermissionError:
    os.mkdir("/tmp/a")
    os.mkdir("/work/b")
    open("/work/b/file", "w").close()
    os.rename("/work/b/file", "/work/file")
    os.symlink("file", "/work/link")
    with open("/dev/null", "w") as f:
        f.write("x")
    print("held")
