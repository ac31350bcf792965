# expect: memory_limit
# limits: memory_bytes=67108864
blocks = []
while True:
    blocks.append(bytearray(8 << 20))
