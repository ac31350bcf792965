# expect: ok
# stdout: __main__ ['main.py'] /work /work/main.py True
import sys, pickle, __main__
class Point: pass
print(__name__, sys.argv, sys.path[0], __file__, isinstance(pickle.loads(pickle.dumps(__main__.Point())), Point))
