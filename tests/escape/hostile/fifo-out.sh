# expect: ok
# gvisor: skip
# outputs: pipe
# left: pipe type
mkfifo pipe || python3 -c 'import os; os.mkfifo("pipe")'; true
