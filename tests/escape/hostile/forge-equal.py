# expect: wrong_answer
# test: assert f(2) == 4
class Any:
    __class__ = int
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 4
def f(x):
    return Any()
