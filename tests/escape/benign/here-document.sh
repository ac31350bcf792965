# expect: ok
# stdout: hello
cat <<X
hello
X
