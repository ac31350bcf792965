# expect: ok
# stdout: hi
import base64; print(base64.b64decode(base64.b64encode(b"hi")).decode())
