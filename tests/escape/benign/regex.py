# expect: ok
# stdout: world hello
import re; print(re.sub(r"(\w+) (\w+)", r"\2 \1", "hello world"))
