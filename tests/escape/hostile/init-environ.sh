# expect: nonzero_exit
# gvisor: skip
# absent: PATH
cat /proc/1/environ /proc/1/cmdline
