# expect: wrong_answer
# test: assert sorted(f(2)) == [4]
# test: print(len(f(2))); assert f(2) == [4]
import os
sorted = lambda x: [4]
print = len = assertion = __builtins__.__dict__["repr"] = lambda *a: os._exit(0)
AssertionError = KeyboardInterrupt
def f(x):
    return [5]
