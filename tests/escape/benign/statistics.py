# expect: ok
# stdout: 2
import statistics; print(statistics.median([3, 1, 2]))
