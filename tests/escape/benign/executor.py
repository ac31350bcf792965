# expect: ok
# stdout: 15
from concurrent.futures import ThreadPoolExecutor as E
with E(4) as e: print(sum(e.map(abs, range(-5, 0))))
