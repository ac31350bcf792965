"""pipeline: servers and programs of one fault test, each program a child of this process, so that it can be killed at will.

Not the supervisor of `make up`: its waits between two starts would hide how often a program dies.  Here whatever ends is started again at
once, and every end goes into the journal: the ones that were asked for, and the ones that nobody asked for.
"""
import base64
import json
import os
import random
import shlex
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
POOLS = {  # pool: program, argument, database role
    "gateway": ("airlock-gateway", None, "airlock_gateway"),
    "screen": ("airlock-moderate", "screen", None),
    "infer": ("airlock-infer", None, None),
    "inspect": ("airlock-moderate", "inspect", None),
    "run": ("airlock-sandbox", None, None),
    "review": ("airlock-moderate", "review", None),
    "record": ("airlock-record", None, "airlock_record"),
    "monitor": ("airlock-monitor", None, None),
    "model": ("airlock-model-replay", None, None),
}
TOPICS = ["airlock." + t for t in ("requests", "requests.batch", "prompts", "prompts.batch", "candidates", "candidates.batch", "programs",
                                   "programs.batch", "runs", "runs.batch", "results", "dead", "alerts", "control")]
READY_S = 180
# Each move of an offset row, in the order in which they became true: the row alone shows only the last.
NOTE_MOVES = """
create table public.offset_moves (n bigserial primary key, topic text, partition int, before bigint, after bigint, head bytea);
create function public.note_move() returns trigger language plpgsql security definer as $$
begin
	insert into public.offset_moves (topic, partition, before, after, head) values (new.topic, new.partition, old.next, new.next, new.head);
	return new;
end $$;
create trigger note_move after update on airlock.offsets for each row when (old.next <> new.next) execute function public.note_move();
"""
SERVER_TRIES = 4
ENDS_OF_ITSELF = (1, 2, 71)  # it could not begin, it is broken, it has no memory
plain = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Journal:
    """What happened, one JSON object a line, on disk before anything is built on it."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.file = open(path, "a", buffering=1, encoding="utf-8")
        self.counts = {}

    def write(self, what, **more):
        more.update(what=what, t=time.time())
        with self.lock:
            self.file.write(json.dumps(more) + "\n")
            self.counts[what] = self.counts.get(what, 0) + 1


def wait_until(seconds, condition, every=0.05):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


def shell(script, check=True, **env):
    r = subprocess.run(["bash", "-c", script], env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=TOP)
    if check and r.returncode:
        raise RuntimeError("%s\n%s%s" % (script, r.stdout[-2000:], r.stderr[-2000:]))
    return r.stdout.strip()


class Instance:
    def __init__(self, pipeline, pool, number):
        self.pipeline, self.pool, self.name = pipeline, pool, "%s-%d" % (pool, number)
        self.program, self.argument, self.role = POOLS[pool]
        self.health = os.path.join(pipeline.dir, "health", self.name)
        self.process, self.crash, self.fail, self.wanted, self.asked = None, None, None, False, set()
        self.use = threading.Lock() # held while somebody has plans with it: nobody else stops it then
        self.port = pipeline.port(self.name) if pool in ("gateway", "model") else None
        self.lock = threading.Lock()
        self.starts = 0

    def environment(self):
        p = self.pipeline
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": "/", "AIRLOCK_KAFKA": p.kafka, "AIRLOCK_HEALTH_FILE": self.health,
               "AIRLOCK_STAGE_KEYS": "%s/keys/%s.json" % (p.dir, self.pool), "AIRLOCK_STAGE_POISON_DIR": "%s/poison/%s" % (p.dir, self.pool)}
        if self.role:
            env["AIRLOCK_DATABASE_URL"] = p.database_url(self.role)
        if self.pool == "infer":
            env["AIRLOCK_MODEL_URL"] = "http://127.0.0.1:%d/v1" % p.pools["model"][0].port
        elif self.pool == "model":
            env.update(AIRLOCK_REPLAY_PORT=str(self.port), AIRLOCK_REPLAY_FAULTS="yes")
        elif self.pool == "gateway":
            env.update(AIRLOCK_GATEWAY_PORT=str(self.port), AIRLOCK_GATEWAY_SECRET=p.dir + "/keys/gateway-id.key",
                       AIRLOCK_GATEWAY_REQUESTS_PER_MINUTE="10000000")
        env.update(p.settings.get(self.pool, {}))
        env.update({name: os.environ[name] for name in ("ASAN_OPTIONS", "LSAN_OPTIONS") if name in os.environ})
        if self.crash:
            env["AIRLOCK_CRASH_AT"] = self.crash
        env.update(self.fail or {})
        if p.broken:
            env["AIRLOCK_BROKEN"] = p.broken
        return env

    def start(self, crash=None, fail=None):
        """crash: a named point at which it is to end itself; fail: variables that make a call of it fail, from which it may end.  Only what has
        ended is started: two of one name would write one health file."""
        with self.lock:
            return self.start_locked(crash, fail) if self.process is None else self.process.pid

    def is_frozen(self):
        try:
            with open("/proc/%d/stat" % self.process_id()) as f:
                return f.read().rsplit(") ", 1)[1].startswith("T")
        except (OSError, TypeError): # it has ended
            return False

    def start_again(self):
        """The watcher's: nobody else has started or stopped it meanwhile."""
        with self.lock:
            if self.wanted and self.process is None:
                self.start_locked(None)

    def start_locked(self, crash, fail=None):
        p = self.pipeline
        self.crash, self.fail, self.wanted = crash, fail, True
        try:
            os.unlink(self.health)
        except FileNotFoundError:
            pass
        argv = [os.path.join(p.bin, self.program), "--config", p.dir + "/airlock.conf"] + ([self.argument] if self.argument else [])
        who = {"user": p.uid, "group": p.gid, "extra_groups": []} if os.geteuid() == 0 and self.pool != "run" else {}
        log = open(os.path.join(p.dir, "log", self.name + ".log"), "ab")
        self.process = subprocess.Popen(argv, env=self.environment(), cwd=p.app, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        start_new_session=True, **who)
        log.close()
        self.starts += 1
        p.journal.write("start", name=self.name, crash=crash)
        return self.process.pid

    def process_id(self):
        process = self.process
        return process.pid if process else None

    def ready(self):
        try:
            with open(self.health) as f:
                port = int(f.read() or 0)
            with plain.open("http://127.0.0.1:%d/readyz" % port, timeout=2) as answer:
                return answer.status == 200
        except (OSError, ValueError, urllib.error.URLError):
            return False

    def send(self, number, reason):
        """Sends it and notes that whoever receives it ends on purpose."""
        with self.lock:
            process = self.process
            if not process or process.poll() is not None:
                return False
            if number in (signal.SIGKILL, signal.SIGTERM):
                self.asked.add(process.pid)
                self.pipeline.journal.write("kill" if number == signal.SIGKILL else "leave", name=self.name, pool=self.pool, why=reason)
            process.send_signal(number)
            return True

    def stop(self, number=signal.SIGTERM, reason="end", seconds=40):
        self.wanted = False
        if self.send(number, reason):
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.pipeline.journal.write("unexpected", name=self.name, code="does not end on signal %d" % number)
                self.process.kill()
                self.process.wait()
        self.reap()

    def reap(self):
        """True if it ended; the journal hears how."""
        with self.lock:
            p, process = self.pipeline, self.process
            if not process or process.poll() is None:
                return False
            code, pid = process.returncode, process.pid
            self.process = None
        if self.crash and code == -signal.SIGKILL and pid not in self.asked:
            p.journal.write("kill", name=self.name, pool=self.pool, why="point", point=self.crash)
        elif "AIRLOCK_POISON" in p.settings.get(self.pool, {}) and code == -signal.SIGKILL and pid not in self.asked:
            p.journal.write("kill", name=self.name, pool=self.pool, why="poison")
        elif self.fail and code in ENDS_OF_ITSELF and pid not in self.asked:
            p.journal.write("kill", name=self.name, pool=self.pool, why="fail", point=self.fail.get("AIRLOCK_FAIL"))
        elif pid not in self.asked or code not in (0, -signal.SIGKILL, -signal.SIGTERM):
            p.journal.write("unexpected", name=self.name, code=code)
        self.asked.discard(pid)
        return True


class Pipeline:
    def __init__(self, folder, binaries, counts, settings=None, broken=None, partitions=4, seed=0):
        self.root, self.settings, self.broken, self.partitions = folder, settings or {}, broken, partitions
        self.dir = shell(". scripts/lib.sh; state_dir %s" % shlex.quote(folder))
        self.random = random.Random(seed)
        self.ports = set()
        self.app = shell(". scripts/lib.sh; app_copy %s .deps/kafka policies workers/sandbox/runtimes producers/examples; echo $APP" % shlex.quote(binaries))
        self.bin = os.path.join(self.app, binaries)
        self.log_tool = os.path.join(TOP, os.path.dirname(binaries), "fault", "log")
        if os.geteuid() == 0:
            ids = shell("id -u airlock; id -g airlock").split()
            self.uid, self.gid = int(ids[0]), int(ids[1])
        for sub in ("log", "health", "poison", "keys", "secrets"):
            shell(". scripts/lib.sh; make_dir %s/%s" % (self.dir, sub))
        for pool in counts:
            shell(". scripts/lib.sh; make_dir %s/poison/%s" % (self.dir, pool))
        open(self.dir + "/airlock.conf", "w").close()
        self.journal = Journal(os.path.join(self.dir, "journal.jsonl"))
        self.servers()
        self.prepare()
        self.pools = {pool: [] for pool in POOLS}
        for pool in sorted(counts, key=lambda k: k != "model"):
            for i in range(counts[pool]):
                self.pools[pool].append(Instance(self, pool, i + 1))
        self.running = True
        self.watching = threading.Thread(target=self.watch, daemon=True)

    def port(self, name):
        while True:
            port = int(shell(". scripts/lib.sh; free_port"))
            if port not in self.ports:
                self.ports.add(port)
                return port

    def servers(self):
        for name in ("kafka", "postgres"):
            self.start_server(name)
        self.kafka = shell("scripts/kafka address %s" % self.dir)

    def start_server(self, name):
        """A machine that is busy with other things may take longer than one start waits."""
        for attempt in range(SERVER_TRIES):
            try:
                return shell("scripts/%s start %s" % (name, self.dir))
            except RuntimeError:
                if attempt == SERVER_TRIES - 1:
                    raise

    def database_url(self, role="airlock_owner"):
        return self.urls[role]

    def prepare(self):
        shell("scripts/migrate %s" % self.dir)
        self.urls = {}
        for role in ("airlock_owner", "airlock_record", "airlock_gateway"):
            self.urls[role] = shell("scripts/postgres url %s %s" % (self.dir, role))
        self.sql(NOTE_MOVES)
        cli = os.path.join(self.bin, "airlock")
        shell("%s topics create --partitions %d" % (cli, self.partitions), AIRLOCK_KAFKA=self.kafka)
        shell(". scripts/lib.sh; run_as_service %s signing-keys --master %s/secrets/master.key %s/keys" % (cli, self.dir, self.dir))
        self.key = shell(". scripts/lib.sh; run_as_service %s/airlock-gateway keys-create --tenant fault --name fault --scopes submit,read,admin" %
                         self.bin, AIRLOCK_DATABASE_URL=self.urls["airlock_gateway"], AIRLOCK_GATEWAY_SECRET=self.dir + "/keys/gateway-id.key")

    def instances(self):
        return [i for pool in self.pools.values() for i in pool]

    def start(self):
        for i in self.instances():
            i.start()
        self.watching.start()
        self.wait_ready()

    def wait_ready(self):
        for i in self.instances():
            if not wait_until(READY_S, i.ready, 0.1):
                raise RuntimeError("%s is not ready: %s" % (i.name, shell("tail -n 5 %s/log/%s.log" % (self.dir, i.name))))

    def watch(self):
        while self.running:
            for i in self.instances():
                if i.wanted and i.reap() and self.running:
                    i.start_again()
            time.sleep(0.05)

    # ---- servers ----

    def server_pid(self, name):
        path = self.dir + ("/kafka/pid" if name == "kafka" else "/postgres/data/postmaster.pid")
        with open(path) as f:
            return int(f.readline())

    def kill_server(self, name, away_s=0.0):
        """SIGKILL, stay away, come back with the data that reached the log."""
        pid = self.server_pid(name)
        self.journal.write("server", name=name, why="kill")
        os.kill(pid, signal.SIGKILL)
        time.sleep(away_s)
        self.start_server(name)
        self.journal.write("server", name=name, why="back")

    def kill_model(self, away_s):
        """The same; how often it had been called."""
        model = self.pools["model"][0]
        calls = self.model_calls()["total"]
        self.journal.write("server", name="model", why="kill")
        model.stop(signal.SIGKILL, "away")
        time.sleep(away_s)
        model.start()
        wait_until(READY_S, model.ready)
        self.journal.write("server", name="model", why="back")
        return calls

    # ---- looking ----

    def sql(self, text):
        r = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.urls["airlock_owner"], "-c", text],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if r.returncode:
            raise RuntimeError(r.stderr)
        return [line for line in r.stdout.splitlines() if line]

    def rows(self, text):
        return [json.loads(line) for line in self.sql("select row_to_json(x) from (%s) x" % text)]

    def ends(self, topics):
        out = subprocess.run([self.log_tool, "ends", self.kafka] + topics, stdout=subprocess.PIPE, check=True, text=True).stdout
        return {(r["topic"], r["partition"]): r["end"] for r in map(json.loads, out.splitlines())}

    def write_records(self, topic, records):
        """records: (key or None, bytes) or (key, bytes, {header: bytes})."""
        def line(key, value, headers=None):
            more = "".join(" %s=%s" % (n, base64.b64encode(v).decode()) for n, v in (headers or {}).items())
            return "%s %s%s\n" % (key or "-", base64.b64encode(value).decode(), more)
        subprocess.run([self.log_tool, "write", self.kafka, topic], input="".join(line(*r) for r in records), text=True, check=True)

    def read_records(self, topic):
        """All of the log: (key, bytes, {header: bytes})."""
        out = subprocess.run([self.log_tool, "read", self.kafka, topic], stdout=subprocess.PIPE, check=True, text=True).stdout
        for r in map(json.loads, out.splitlines()):
            yield (bytes.fromhex(r["key"]).decode("latin-1"), base64.b64decode(r["bytes"]),
                   {n: base64.b64decode(v) for n, v in r["headers"].items()})

    def model_calls(self):
        with plain.open("http://127.0.0.1:%d/admin/calls" % self.pools["model"][0].port, timeout=10) as answer:
            return json.loads(answer.read())

    def recorded(self):
        """Has RECORD read all there is?"""
        topics = ["airlock.requests", "airlock.requests.batch", "airlock.results", "airlock.dead", "airlock.alerts"]
        next_of = {(r["topic"], r["partition"]): r["next"] for r in self.rows("select topic, partition, next from airlock.offsets")}
        return all(end == 0 or next_of.get(at, -1) == end for at, end in self.ends(topics).items())

    def note_losses(self):
        """A worker whose machine is too busy for its heartbeats loses its partitions, as by a kill: into the journal, once."""
        lost = {}
        for i in self.instances():
            with open(os.path.join(self.dir, "log", i.name + ".log"), encoding="utf-8", errors="replace") as log:
                n = sum(1 for line in log if 'msg="partition is lost"' in line)
            if n:
                lost[i.pool] = lost.get(i.pool, 0) + n
        for pool, n in lost.items():
            self.journal.write("lost", pool=pool, count=n)
        return lost

    def close(self):
        self.running = False
        if self.watching.is_alive():
            self.watching.join(5)
        for i in self.instances():
            i.wanted = False
            i.send(signal.SIGTERM, "end")
        for i in self.instances():
            i.stop()
        shell("scripts/dev-servers stop %s" % self.dir, check=False)
