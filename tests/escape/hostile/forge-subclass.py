# expect: wrong_answer
# test: assert f(2) == [4]
class Any(list):
    def __eq__(self, other): return True
    def __iter__(self): return iter([4])
    def __len__(self): return 1
def f(x):
    return Any([5])
