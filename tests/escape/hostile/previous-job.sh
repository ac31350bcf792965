# expect: ok
# gvisor: skip
# stdout: clean
ls -A /work /tmp /dev/shm | grep -v -e main.sh -e : -e '^$' && echo dirty
ls /proc | grep -c '^[0-9]' | grep -qx -e 3 -e 4 -e 5 -e 6 && echo clean
