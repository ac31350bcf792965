# expect: ok
# stdout: 6
seq 3 | awk '{ s += $1 } END { print s }' | sed 's/^/ /'
