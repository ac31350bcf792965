# expect: ok
print(pow(3, 1000, 10**9 + 7))
