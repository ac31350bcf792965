# expect: nonzero_exit
echo x > /usr/bin/x || echo x > /etc/passwd || echo x > /x
