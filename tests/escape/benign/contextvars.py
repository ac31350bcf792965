# expect: ok
# stdout: 3
import contextvars as c; v = c.ContextVar("v", default=3); print(c.copy_context().run(v.get))
