"""pipe: what the pipe tests in Python share: the gateway as a client sees it, the record, the topics by hand, the supervised programs.

A test imports it, says holds("sentence", condition) for every promise and ends with finish().  Waiting is on conditions, with a deadline.
"""
import base64
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request
import uuid

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUN = os.path.realpath(os.environ["AIRLOCK_RUN"])
HAND = os.path.join(TOP, "build", "pipe", "hand")
LANES = [("interactive", ""), ("batch", ".batch")]
TOPICS = ["airlock." + t + suffix for t in ("requests", "prompts", "candidates", "programs", "runs") for _, suffix in LANES] + \
    ["airlock.results", "airlock.dead", "airlock.alerts", "airlock.control"]
ROMAN = "Write a Python function to_roman(n) for 1 <= n <= 3999."
ENDED = ("released", "refused", "failed", "expired", "cancelled", "deleted")

passed = failed = 0


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def holds(sentence, condition, *detail):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        print("does not hold: %s" % sentence, *detail, flush=True)
    return condition


def finish():
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)


def whole(test):
    """Run test(); what it does not catch is one failure."""
    try:
        test()
    except Exception:
        traceback.print_exc(file=sys.stdout)
        holds("the test ran to its end", False)
    finish()


def until(seconds, ask, pause=0.1):
    """The first true answer of ask(), or its last one when time is over."""
    end = time.monotonic() + seconds
    while True:
        got = ask()
        if got or time.monotonic() >= end:
            return got
        time.sleep(pause)


# ---- the gateway ----

class Gateway:
    def __init__(self):
        self.url = os.environ["AIRLOCK_URL"].rstrip("/")
        self.key = read(os.path.join(RUN, "secrets", "demo.key")).strip()
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, method, path, body=None, patience_s=60, headers=None):
        """(status, document); asks again while the gateway is away or says later."""
        end = time.monotonic() + patience_s
        while True:
            request = urllib.request.Request(self.url + path, data=None if body is None else json.dumps(body).encode(), method=method)
            request.add_header("Authorization", "Bearer " + self.key)
            request.add_header("Content-Type", "application/json")
            for name, value in (headers or {}).items():
                request.add_header(name, value)
            try:
                with self.opener.open(request, timeout=70) as answer:
                    return answer.status, json.loads(answer.read() or b"{}")
            except urllib.error.HTTPError as e:
                later = e.code in (409, 429, 500, 502, 503)
                wait = min(float(e.headers.get("Retry-After") or 0.3), 2)
                answer = e.code, {"error": e.read().decode(errors="replace")[:300]}
            except OSError as e:
                later, wait, answer = True, 0.3, (0, {"error": str(e)})
            if not later or time.monotonic() >= end:
                return answer
            time.sleep(wait)

    def submit(self, text=ROMAN, lane="interactive", **airlock):
        """The id; airlock: members beside language and tests."""
        members = {"language": "python", "tests": [{"type": "code", "code": "assert to_roman(4) == 'IV'"}]}
        members.update(airlock)
        body = {"model": "replay-coder", "input": text, "background": True, "airlock": {k: v for k, v in members.items() if v is not None}}
        body["service_tier"] = "flex" if lane == "batch" else "priority"
        # With a key of its own: asked again after a broken connection it is the same request.
        status, answer = self.ask("POST", "/v1/responses", body, 120, {"Idempotency-Key": uuid.uuid4().hex})
        if status != 200 or "id" not in answer:
            raise RuntimeError("submit: %s %s" % (status, answer))
        return answer["id"]

    def history(self, id):
        return self.ask("GET", "/v1/airlock/requests/%s" % id)[1]

    def end(self, id, seconds=60):
        """The history once it has ended, or as far as it came."""
        return until(seconds, lambda: (lambda h: h if h.get("status") in ENDED else None)(self.history(id)), 0.2) or self.history(id)


def many(count, work, at_once=16):
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(work, range(count)))


# ---- the record ----

def sql(query):
    """Rows as lists of text."""
    out = subprocess.run(["psql", "-X", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", os.environ["AIRLOCK_DATABASE_URL"], "-c", query],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
    if out.returncode:
        raise RuntimeError(out.stderr.strip())
    return [line.split("\t") for line in out.stdout.splitlines()]


def uuid_of(id):
    """The UUID in a gateway's id: its key in Kafka and in the record."""
    digits = id.split("_", 1)[-1][:32]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


# ---- topics, by hand ----

class Message:
    def __init__(self, topic, key, bytes, headers=(), partition=None, offset=None):
        self.topic, self.key, self.bytes, self.headers = topic, key, bytes, [list(h) for h in headers]
        self.partition, self.offset = partition, offset

    def lines(self):
        return self.bytes.split(b"\n")[:-1]

    def on(self, topic):
        return Message(topic, self.key, self.bytes, self.headers)

    def having(self, bytes):
        return Message(self.topic, self.key, bytes, self.headers)


def topic_read(topic):
    out = subprocess.run([HAND, "read", os.environ["AIRLOCK_KAFKA"], topic], stdout=subprocess.PIPE, timeout=60, check=True).stdout
    rows = [json.loads(line) for line in out.splitlines()]
    return [Message(topic, base64.b64decode(r["key"]).decode(errors="replace"), base64.b64decode(r["bytes"]), r["headers"], r["partition"], r["offset"])
            for r in rows]


def topic_write(messages):
    """Places as (topic, partition, offset), in no order."""
    text = "".join(json.dumps({"topic": m.topic, "headers": m.headers, "bytes": base64.b64encode(m.bytes).decode(),
                               "key": base64.b64encode(m.key if isinstance(m.key, bytes) else m.key.encode()).decode()}) + "\n" for m in messages)
    subprocess.run([HAND, "write", os.environ["AIRLOCK_KAFKA"]], input=text.encode(), stdout=subprocess.DEVNULL, timeout=60, check=True)


def topic_find(topic, key, seconds=20):
    """The first message of this key, waited for."""
    return until(seconds, lambda: next((m for m in topic_read(topic) if m.key == key), None))


# ---- programs ----

def pid(name):
    """The process that the supervisor runs under this name; 0: none."""
    try:
        return int(read(os.path.join(RUN, "service", name, "supervise", "pid")).strip() or 0)
    except (OSError, ValueError):
        return 0


def names(pool):
    return sorted(n for n in os.listdir(os.path.join(RUN, "service")) if n.rsplit("-", 1)[0] == pool)


def send(name, sig):
    """Its process id, or 0 if it does not run."""
    p = pid(name)
    if p:
        os.kill(p, sig)
    return p


def page(name, path):
    """What its health page says; empty when it does not answer."""
    try:
        port = read(os.path.join(RUN, "health", name)).strip()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open("http://127.0.0.1:%s%s" % (port, path), timeout=5) as answer:
            return answer.read().decode()
    except (OSError, ValueError):
        return ""


def ready(name):
    return page(name, "/readyz") != ""


def metric(name, metric_name, **labels):
    """Sum of the samples of that name whose labels hold all of these."""
    total = 0.0
    for line in page(name, "/metrics").splitlines():
        if line.startswith(metric_name + "{") or line.startswith(metric_name + " "):
            if all('%s="%s"' % item in line for item in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
    return total


def port(name):
    return dict(l.split("=") for l in read(os.path.join(RUN, "ports")).split())[name]


def model_calls():
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open("http://127.0.0.1:%s/admin/calls" % port("model-replay-1"), timeout=10) as a:
        return json.loads(a.read())["total"]


def up(**pools):
    subprocess.run([os.path.join(TOP, "scripts", "up")] + ["%s=%d" % p for p in pools.items()], check=True, stdout=subprocess.PIPE,
                   stderr=subprocess.STDOUT, timeout=180,
                   env={k: v for k, v in os.environ.items() if k not in ("AIRLOCK_KAFKA", "AIRLOCK_DATABASE_URL")})


class Stopped:
    """A program that stands still while this lasts."""
    def __init__(self, name):
        self.name = name

    def __enter__(self):
        send(self.name, signal.SIGSTOP)

    def __exit__(self, *_):
        send(self.name, signal.SIGCONT)
