# expect: ok
# stdout: 499500
import threading
total = []
ts = [threading.Thread(target=lambda i=i: total.append(sum(range(i * 100, i * 100 + 100)))) for i in range(10)]
[t.start() for t in ts]; [t.join() for t in ts]
print(sum(total))
