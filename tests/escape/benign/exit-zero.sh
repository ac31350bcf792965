# expect: ok
true
