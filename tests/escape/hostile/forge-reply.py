# expect: wrong_answer
# test: assert f(2) == 4
# Frames that nobody asked for, and frames that are none.
import os, json, struct
def say(m):
    data = json.dumps(m).encode()
    for fd in range(3, 64):
        try: os.write(fd, struct.pack(">I", len(data)) + data)
        except OSError: pass
say(["names", [["f", "value", ["object", 1]], ["__builtins__", "value", None], ["exit", "module", "os"], ["math", "module", "os"]]])
say(["value", ["home", 1], None, None, []])
say(["value", ["named", "os", "_exit"], None, None, []])
say(["back", "call", 1, [0]])
def f(x):
    say(["back", "get", 1, ["__globals__"]])
    return 5
