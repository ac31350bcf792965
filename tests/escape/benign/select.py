# expect: ok
# gvisor: nonzero_exit
# stdout: True
import select, socket
a, b = socket.socketpair(); a.send(b"x"); print(select.select([b], [], [], 50)[0] == [b])
