# expect: ok
# test: assert f("airlock_test") and f("/work/airlock_test") and f("/proc/self/mem")
# The expected answers are not to be found beside the program.
import os
def f(name):
    return not os.path.exists(name)
