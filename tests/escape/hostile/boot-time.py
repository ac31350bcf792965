# expect: ok
# oci: skip
# stdout: held
# How long the machine has been up, which names it: clocks, and what the kernel says of this process's start.
import os, time

if not os.path.exists("/proc/self/timens_offsets"):
    print("held: this kernel has no time namespaces")
else:
    start_s = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
    seen = [time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME), time.clock_gettime(time.CLOCK_MONOTONIC_RAW), start_s]
    try:
        with open("/proc/self/timens_offsets", "w") as f:
            f.write("boottime 1000 0")
        seen.append(10**9)
    except OSError:
        pass
    t = time.monotonic()
    time.sleep(0.01)
    print("held" if max(seen) < 1800 and time.monotonic() > t else seen)
