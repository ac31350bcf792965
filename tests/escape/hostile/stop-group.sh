# expect: timeout
# limits: wall_ms=700
kill -STOP 0
