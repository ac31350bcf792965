# expect: ok
# stdout: sandbox
# absent: AIRLOCK
uname -n
env
cat /proc/self/mountinfo | grep -v '^[0-9]* [0-9]* [0-9:]* /' | head -1
