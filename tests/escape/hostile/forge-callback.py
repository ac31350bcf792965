# expect: wrong_answer
# test: k = lambda x: x + 1; assert g(k) == 4
# What the test hands over can be called, and nothing else.
def g(k):
    for name in ("__globals__", "__code__", "__builtins__", "gi_frame"):
        try:
            k._ask("get", name)
            return 4
        except TypeError:
            pass
    return 5
