# expect: ok
# stdout: True
import calendar; print(calendar.isleap(2024))
