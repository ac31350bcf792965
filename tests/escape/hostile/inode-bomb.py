# expect: disk_limit
for n in range(1000000):
    open(f"f{n}", "w").close()
