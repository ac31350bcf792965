# expect: ok
# stdout: unreachable: 3
import errno, socket
n = 0
for address in ("169.254.169.254", "192.0.2.1", "10.0.0.1"):
    try:
        socket.create_connection((address, 80), timeout=1)
    except OSError as e:
        n += e.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)
print("unreachable:", n)
