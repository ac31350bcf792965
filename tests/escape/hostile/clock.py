# expect: violation
# refused: clock_settime
import time
time.clock_settime(time.CLOCK_REALTIME, 0)
