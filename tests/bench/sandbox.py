#!/usr/bin/python3
"""The sandbox beside its peers: one round takes each of them once for each kind of program, so that a busy machine is busy for all.

A line of JSON a figure (name, unit, values, aim, floors) for tests/bench/run, which reads them; other lines are for people.
floor: the same program without any isolation.  Peers that are not installed are left out.  Needs root, as the jail does.
"""
import ctypes, json, os, shutil, subprocess, tempfile, time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
JAIL = f"{TOP}/build/bin/airlock-jail"
RUNTIMES = f"{TOP}/workers/sandbox/runtimes"
TRUE = {"language": "true", "source": "nothing", "run": ["/bin/true"], "env": ["PATH=/usr/bin:/bin"], "profile": "strict",
        "limits": {"wall_ms": 10000, "cpu_ms": 10000, "memory_bytes": 256 << 20, "pids": 64, "disk_bytes": 32 << 20}}
SAMPLES, SOAK = f"{TOP}/build/escape/samples", f"{TOP}/build/escape/soak"
ROUNDS = int(os.environ.get("AIRLOCK_BENCH_ROUNDS", "40"))
CLONE_NEWNS, MS_REC, MS_PRIVATE, MNT_DETACH = 0x20000, 0x4000, 1 << 18, 2

C = "echo 'int main(void) { return 0; }' >main.c && gcc -std=gnu17 -O1 -o program main.c -lm -pthread && ./program"
KINDS = { # name -> the jail's own kinds, what peers run, aim of the first
    "true": (["sandbox_true_ms"], ["/bin/true"], 3),
    "python": (["sandbox_python_warm_ms", "sandbox_python_exec_ms"], ["/usr/bin/python3", "-s", "-B", "-c", "print(1)"], 3),
    "node": (["sandbox_node_warm_ms", "sandbox_node_exec_ms"], ["/usr/bin/node", "-e", "console.log(1)"], 50),
    "c": (["sandbox_c_gcc_ms", "sandbox_c_tcc_ms", "sandbox_c_cached_ms"], ["/bin/sh", "-c", C], 60),
}
EACH = {"sandbox_true_ms": 5, "sandbox_python_warm_ms": 10}  # in a round: of 40 the 99th percentile is the worst
AIMS = {"sandbox_c_tcc_ms": 10, "sandbox_c_cached_ms": 10}
REFUSED = """#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
enum { WARM = 100, CALLS = 5000 };
int main(void)
{
	struct timespec a, b;
	for (int i = 0; i < WARM; i++)
		syscall(SYS_add_key, 0, 0, 0, 0, 0);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < CALLS; i++)
		syscall(SYS_add_key, 0, 0, 0, 0, 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	return printf("%.3f", ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / 1e3 / CALLS) < 0;
}
"""
RUNS = int(os.environ.get("AIRLOCK_BENCH_RUNS", "5"))
BWRAP = ["--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib",
         "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", "/tmp/work", "--chdir", "/tmp/work"]


def own_mounts():
    """A mount namespace of our own, without the v2 half of a hybrid machine's control groups, which crun refuses to choose from."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None):
        raise OSError(ctypes.get_errno(), "no mount namespace of our own: the sandbox is measured as root")
    libc.umount2(b"/sys/fs/cgroup/unified", MNT_DETACH)  # not there: fine


def timed(command, folder):
    """Milliseconds from the call to its end, output read."""
    begun = time.monotonic()
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    took = (time.monotonic() - begun) * 1000
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}")
    return took


def bundle(folder, kind, command):
    """What a container engine would write: namespaces, 256 MiB, 64 processes, /usr read-only."""
    root = f"{folder}/rootfs"
    for name in ("usr", "proc", "dev", "work"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    for name in ("bin", "lib", "lib64"):
        if not os.path.islink(f"{root}/{name}"):
            os.symlink(f"usr/{name}", f"{root}/{name}")
    mount = lambda to, kind, source, *options: {"destination": to, "type": kind, "source": source, "options": list(options)}
    config = {
        "ociVersion": "1.0.2", "hostname": "sandbox", "root": {"path": root, "readonly": True},
        "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": command, "cwd": "/work", "noNewPrivileges": True,
                    "env": ["PATH=/usr/bin:/bin"], "capabilities": {}},
        "mounts": [mount("/usr", "bind", "/usr", "rbind", "ro"), mount("/proc", "proc", "proc"), mount("/dev", "tmpfs", "tmpfs", "mode=755"),
                   mount("/work", "tmpfs", "tmpfs"), mount("/tmp", "tmpfs", "tmpfs")],
        "linux": {"namespaces": [{"type": t} for t in ("pid", "mount", "ipc", "uts", "network", "cgroup")],
                  "resources": {"memory": {"limit": 256 << 20}, "pids": {"limit": 64}}}}
    os.makedirs(f"{root}/tmp", exist_ok=True)
    os.makedirs(f"{folder}/{kind}", exist_ok=True)
    with open(f"{folder}/{kind}/config.json", "w") as f:
        json.dump(config, f)
    return f"{folder}/{kind}"


def peers(folder):
    found = {}
    if shutil.which("bwrap"):
        found["bwrap"] = lambda kind, command, n: ["bwrap", *BWRAP, "--", *command]
    for name in ("crun", "runc"):
        path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
        if path:
            found[name] = lambda kind, command, n, path=path: [path, "--root", f"{folder}/state", "run", "--bundle", bundle(folder, kind, command),
                                                               f"airlock-bench-{os.getpid()}-{n}"]
    return found


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p))]


class Samples:
    """The jail, asked for one program at a time."""

    def __init__(self, runtimes):
        self.process = subprocess.Popen([SAMPLES, JAIL, runtimes, "-", "60"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, name):
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("the jail has ended")
        return float(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


def record(name, unit, values, aim, floors=None):
    print(json.dumps({"name": name, "unit": unit, "values": values, "aim": aim, "floors": floors}), flush=True)


def refused_call(folder):
    """Microseconds of one, seen by the program: with the notification, the report and the answer; beside a kernel that refuses it itself."""
    with open(f"{folder}/refused.c", "w") as f:
        f.write(REFUSED)
    subprocess.run(["gcc", "-O1", "-o", f"{folder}/refused", f"{folder}/refused.c"], check=True)
    ours, bare = [], []
    for _ in range(RUNS):
        for command, values in (([f"{TOP}/build/bin/airlock", "run", "--language", "c", f"{folder}/refused.c"], ours), ([f"{folder}/refused"], bare)):
            values.append(float(subprocess.run(command, capture_output=True, text=True, timeout=60).stdout)) # its verdict is a violation
    record("sandbox_notify_us", "us", ours, "<= 15", bare)


def overshoot():
    """Of the wall limit, by a program of 64 processes: from the limit to the death of the last."""
    p99 = []
    for _ in range(RUNS):
        lines = subprocess.run([SOAK, JAIL, RUNTIMES, "wall", "100"], capture_output=True, text=True, timeout=300, check=True).stdout
        p99.append(percentile(json.loads(lines.splitlines()[0])["samples"], 0.99))
    record("sandbox_overshoot_p99_ms", "ms", p99, "<= 20")


def measure():
    own_mounts()
    folder = tempfile.mkdtemp(prefix="airlock-bench-sandbox.", dir="/tmp")
    runtimes = shutil.copytree(RUNTIMES, f"{folder}/runtimes")
    with open(f"{runtimes}/true.json", "w") as f:
        json.dump(TRUE, f)
    samples, counter = Samples(runtimes), 0
    try:
        others = peers(folder)
        for kind, (ours, command, aim) in KINDS.items():
            taken = {name: [] for name in [*ours, "bare", *others]}
            for n in range(ROUNDS + 1):  # the first is for caches
                for name in [name for name in taken for _ in range(EACH.get(name, 1))]:
                    counter += 1
                    if name in ours:
                        value = samples.ask(name)
                    elif name == "bare":
                        value = timed(command, folder)
                    else:
                        value = timed(others[name](kind, command, counter), folder)
                    if n > 0 and value >= 0:
                        taken[name].append(value)
            for name in ours:
                stem = name[:-3]
                if not taken[name]:
                    raise RuntimeError(f"{name}: no sample was what it is named for")
                limit = AIMS.get(name) or (aim if name == ours[0] else None)
                slack = limit if limit else round(percentile(taken["bare"], 0.5) + 1.5, 1)
                record(f"{stem}_p50_ms", "ms", taken[name], f"<= {slack}", taken["bare"])
                record(f"{stem}_p99_ms", "ms", [percentile(taken[name], 0.99)], f"<= {10 if stem == 'sandbox_python_warm' else 4 * slack}",
                       [percentile(taken["bare"], 0.99)])
            for name in others:
                print(f"{'':2}{name + ' ' + kind:26} {percentile(taken[name], 0.5):12.4g} ms     p99 {percentile(taken[name], 0.99):.4g}", flush=True)
        rates = [float(subprocess.run([SAMPLES, JAIL, RUNTIMES, "rate", "3"], capture_output=True, text=True, timeout=60, check=True).stdout) for _ in range(3)]
        record("sandbox_runs_per_s", "1/s", rates, ">= 350")
        refused_call(folder)
        overshoot()
    finally:
        samples.close()
        shutil.rmtree(folder, ignore_errors=True)


measure()
