# expect: ok
# stdout: e3b0c442
import hashlib; print(hashlib.sha256(b"").hexdigest()[:8])
