# expect: ok
# stdout: 0 True
import sys
print(sys.flags.hash_randomization, sys.flags.no_user_site == 1)
