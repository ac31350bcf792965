# expect: ok
# unnamed: clone3
import threading
t = [threading.Thread(target=lambda: None) for _ in range(20)]
for x in t: x.start()
for x in t: x.join()
