# expect: ok
# stdout: True
import os; print(sorted(os.environ) == ["HOME", "LANG", "PATH", "PYTHONHASHSEED", "TMPDIR"] or sorted(os.environ))
