# expect: ok
# stdout: 4
import uuid; print(uuid.uuid4().version)
