# expect: ok
# stdout: 77
import struct; print(struct.unpack("<I", struct.pack("<I", 77))[0])
