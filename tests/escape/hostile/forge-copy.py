# expect: wrong_answer
# test: l = [1, 2]; c = copied(l); assert c == l and c is not l
# test: d = {1: 2}; c = copied(x=d); assert c == d and c is not d
# test: s = Shape(); assert s.copied() is not s
# test: l = [1, 2]; changed(l); assert l == [1, 2]
# test: l = [1, 2]; assert changed(l) == [1, 2, 3] and l == [1, 2]
# Who hands back what it was given has made no copy.
def copied(x):
    return x
def changed(x):
    x.append(3)
    return x
class Shape:
    def copied(self):
        return self
