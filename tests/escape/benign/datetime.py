# expect: ok
# stdout: 2024-03-01
import datetime as d; print(d.date(2024, 2, 28) + d.timedelta(2))
