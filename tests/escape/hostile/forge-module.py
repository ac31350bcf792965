# expect: wrong_answer
# test: assert math.isclose(f(2), 4)
# test: import textwrap, sched; assert sched.scheduler and f(2) == 4
# What the test imports late must not come from our folder; what it judges with must not be ours.
import types
for name in ("textwrap", "sched", "math", "linecache", "traceback"):
    with open(f"/work/{name}.py", "w") as out:
        out.write("import os\nos._exit(0)\n")
math = types.SimpleNamespace(isclose=lambda a, b: True)
def f(x):
    return 5
