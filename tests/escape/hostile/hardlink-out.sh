# expect: ok
# outputs: b
# left: b type
echo x > a
ln a b
