# expect: ok
# stdout: 4
import queue, threading
q = queue.Queue(); threading.Thread(target=q.put, args=(4,)).start(); print(q.get(timeout=50))
