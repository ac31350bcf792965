# expect: ok
# stdout: 10
import array; a = array.array("i", range(5)); print(sum(a))
