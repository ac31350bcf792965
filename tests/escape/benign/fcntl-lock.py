# expect: ok
# stdout: locked
import fcntl
with open("l", "w") as f:
    fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(f, fcntl.LOCK_EX); print("locked")
