# expect: ok
# stdout: done
sleep 0.01 & wait $!; echo done
