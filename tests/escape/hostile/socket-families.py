# expect: violation
# gvisor: violation
# refused: socket
# stdout: closed: 5
import socket
closed = 0
for family in (40, 38, 17, 16, 44):  # vsock alg packet netlink xdp
    try:
        socket.socket(family, socket.SOCK_RAW)
    except OSError:
        closed += 1
print("closed:", closed)
