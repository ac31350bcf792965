# expect: ok
# stdout: True
import zlib, gzip, bz2, lzma; print(all(m.decompress(m.compress(b"x" * 999)) == b"x" * 999 for m in (zlib, gzip, bz2, lzma)))
