# expect: ok
# stdout: 42
echo $((6 * 7))
