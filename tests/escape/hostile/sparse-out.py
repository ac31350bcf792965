# expect: ok nonzero_exit
# outputs: sparse
# left: sparse size
with open("sparse", "wb") as f:
    f.truncate(30 << 20)
