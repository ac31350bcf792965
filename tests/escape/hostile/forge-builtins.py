# expect: wrong_answer
# test: assert len(f(2)) == 4 and len([1]) == 1
# test: assert all([f(2) == [4]]) and all([])
# test: n = max; assert max(1, 2) == 2 and n(f(2)) == 4
def f(x):
    return [5]
def len(x):
    return {1: 4, 2: 1}[[5, 1].count(x[0])] if x != [1] else 1
def all(x):
    return True
def max(*x):
    return 2 if x == (1, 2) else 4
