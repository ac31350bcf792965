# expect: ok
# stdout: 1 2 3
printf '3\n1\n2\n' | sort | tr '\n' ' '
