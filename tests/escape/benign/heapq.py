# expect: ok
# stdout: [1, 2, 3]
import heapq
h = [3, 1, 2]; heapq.heapify(h); print([heapq.heappop(h) for _ in range(3)])
