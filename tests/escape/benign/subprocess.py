# expect: ok
# stdout: 5
import subprocess
print(len(subprocess.run(["/bin/echo", "abcd"], capture_output=True).stdout))
