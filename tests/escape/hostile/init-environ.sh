# expect: nonzero_exit
# absent: PATH
cat /proc/1/environ /proc/1/cmdline
