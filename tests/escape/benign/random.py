# expect: ok
import os, random, secrets, tempfile, uuid

print(random.random(), uuid.uuid4(), secrets.token_hex(4), os.urandom(4).hex(), os.path.basename(tempfile.mktemp()), hash("fixed"))
