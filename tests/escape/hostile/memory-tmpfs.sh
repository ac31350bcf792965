# expect: memory_limit disk_limit
# limits: memory_bytes=33554432 disk_bytes=134217728
cat /dev/zero > /dev/shm/fill
