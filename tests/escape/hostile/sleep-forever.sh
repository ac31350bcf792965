# expect: timeout
# limits: wall_ms=500
sleep 600
