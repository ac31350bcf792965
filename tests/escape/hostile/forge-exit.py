# expect: wrong_answer
# test: assert f(2) == 4
import os
os._exit(0)
