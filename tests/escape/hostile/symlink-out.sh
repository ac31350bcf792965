# expect: ok
# outputs: a.txt link up/x
# collected: a.txt
# left: link symlink
echo fine > a.txt
ln -s /etc/passwd link
ln -s / up
