# expect: ok
# stdout: open: 0
import socket
n = 0
for port in (22, 80, 5432, 9092, 2024, 8080):
    s = socket.socket()
    s.settimeout(0.2)
    n += s.connect_ex(("127.0.0.1", port)) == 0
print("open:", n)
