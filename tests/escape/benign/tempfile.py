# expect: ok
# stdout: hello
import tempfile
with tempfile.NamedTemporaryFile("w+") as f:
    f.write("hello"); f.seek(0); print(f.read())
