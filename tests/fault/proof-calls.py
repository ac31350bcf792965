#!/usr/bin/python3
"""Every call fails once: no memory, and each call of Kafka, HTTP and PostgreSQL, one at a time, in each program, for as many of them as a whole
request takes.  The others go on, the program does too or ends and is started again, and every request ends as it must.

AIRLOCK_CALLS: of how many passings of one call one fails each, at even distances (0: every one of them).
"""
import os
import random
import threading
import time

from pipeline import wait_until
from proof import main

POOLS = ["gateway", "screen", "infer", "inspect", "run", "review", "record"]
# From where to where a whole request is: its calls are counted there, and memory fails there.
FROM = {"gateway": "answer.done", "record": "row.taken"}
TO = {"gateway": "answer.done", "record": "flush.told"}
EACH = int(os.environ.get("AIRLOCK_CALLS") or 24)
FIRES_S, READY_S, ENDS_S = 20, 60, 60
RATE = 6
POISON_KILLS = 3


def log_at(t, i):
    return os.path.getsize(os.path.join(t.p.dir, "log", i.name + ".log"))


def said_since(t, i, at, word):
    with open(os.path.join(t.p.dir, "log", i.name + ".log"), "rb") as log:
        log.seek(at)
        return [line.decode(errors="replace").split() for line in log if line.startswith(word)]


def restart(t, i, fail):
    i.stop()
    at = log_at(t, i)
    pid = i.start(fail=fail)
    return at, pid


def counted(t, pool):
    """{call: how often it is passed} by one request; all calls from the start of the program, memory from where the request comes in."""
    out, i = {}, t.p.pools[pool][0]
    for begin in (None, FROM.get(pool, "hand.begun")):
        fail = {"AIRLOCK_FAIL": "count:0", "AIRLOCK_FAIL_TO": TO.get(pool, "publish.counted")}
        if begin:
            fail["AIRLOCK_FAIL_FROM"] = begin
        at, _ = restart(t, i, fail)
        if not wait_until(READY_S, lambda: said_since(t, i, at, b"counted: db.answer"), 0.1):
            raise RuntimeError("%s counts nothing" % i.name)
        for _, name, n in said_since(t, i, at, b"counted:"):
            if (name == "alloc") == bool(begin):
                out[name] = int(n)
    return out


def cases(t, counts):
    r, out = random.Random(t.seed), []
    for name, most in counts.items():
        step = max(1, -(-most // EACH)) if EACH else 1
        out += [(name, n) for n in range(1 + r.randrange(step), most + 1, step)]
    return out


class Tally:
    def __init__(self):
        self.failed, self.ended, self.silent, self.counts = 0, 0, [], {}


def settle(t):
    """Until what was open has ended: a message that is in hand at three deaths is taken for poison, and rightly so."""
    before = "select count(*) from airlock.requests r where not exists (select 1 from airlock.results x where x.id = r.id) and r.created_at < '%s'" % (
        t.p.rows("select now()::text as now")[0]["now"])
    wait_until(ENDS_S, lambda: t.count(before) == 0, 0.3)


def fail_one(t, i, pool, name, n, tally):
    fail = {"AIRLOCK_FAIL": "%s:%d" % (name, n)}
    if name == "alloc":
        fail["AIRLOCK_FAIL_FROM"] = FROM.get(pool, "hand.begun")
    at, pid = restart(t, i, fail)
    ended = lambda: i.process_id() != pid
    fired = wait_until(FIRES_S, lambda: ended() or said_since(t, i, at, b"fails:"), 0.1)
    tally.failed += fired
    if not fired:
        tally.silent.append("%s %s:%d" % (i.name, name, n))
    t.holds("%s is ready after the failure of %s %d" % (i.name, name, n), wait_until(READY_S, i.ready, 0.1))
    died = ended()
    tally.ended += died
    if died and tally.ended % (POISON_KILLS - 1) == 0:
        settle(t)


def fail_all_of(t, pool, tally):
    i = t.p.pools[pool][0]
    try:
        tally.counts = counted(t, pool)
        todo = cases(t, tally.counts)
        t.say("%s: %s; %d failures to come", pool, tally.counts, len(todo))
        for name, n in todo:
            fail_one(t, i, pool, name, n, tally)
        i.stop()
        i.start()
    except Exception as e:
        t.holds("%s: the failures came to an end" % pool, False, repr(e))


def test(t):
    clients = t.clients(200, RATE, runs_share=0.3)
    clients.start()
    tallies = {pool: Tally() for pool in POOLS}
    threads = [threading.Thread(target=fail_all_of, args=(t, pool, tallies[pool]), daemon=True) for pool in POOLS]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pool, tally in tallies.items():
        t.figure("calls of %s: %d failures, each alone, of which it ended by %d; counted in one request: %s", pool, tally.failed, tally.ended,
                 " ".join("%s %d" % c for c in tally.counts.items() if c[1]))
    silent = [s for tally in tallies.values() for s in tally.silent]
    t.finish(clients, "every request ends, whatever failed")
    t.audit()
    for i in t.p.instances():
        i.stop() # says what it leaked
    t.holds("nothing leaked and no sanitizer found anything", not t.sanitized(), *t.sanitized()[:5])
    whole = sum(tally.failed for tally in tallies.values())
    t.figure("calls: %d failures in %d programs, %d requests all ended as they must, %d calls not reached (%s), %.0f s", whole, len(POOLS),
             clients.accepted, len(silent), " ".join(s.replace(" ", "/") for s in silent[:6]), time.monotonic() - began)
    # What comes by the clock, or once in a while, need not come again at the same number.
    t.holds("most failures were reached", len(silent) * 5 <= whole, silent)


main(test, {"gateway": 2, "screen": 2, "infer": 2, "inspect": 2, "run": 2, "review": 2, "record": 2, "model": 1}, {"record": {"AIRLOCK_RECORD_GRACE_MS": "2s"}})
