# expect: wrong_answer
# test: assert f(2) == 4
import os
def f(x):
    os._exit(0)
