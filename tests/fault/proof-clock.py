#!/usr/bin/python3
"""The wall clock of every program steps an hour forward, back, an hour back, and forward again, while requests flow: nothing is released before its
verdicts, no request expires whose deadline has not passed once the clock is right again, ids stay unique and idempotency keys work."""
import json
import os
import shutil
import struct
import time

from clients import samples
from pipeline import TOP, wait_until
from proof import ONE_EACH, main

HOUR_S, STAY_S = 3600, 15
STEPS_S = [HOUR_S, 0, -HOUR_S, 0]
FAR_MS = 20 * 3600 * 1000   # a deadline that no step passes
KEYS = 20


class Wall:
    def __init__(self, t):
        self.path, self.shim = os.path.join(t.folder, "wall"), os.path.join(t.folder, "fake_wall.so")
        shutil.copy(os.path.join(TOP, "build/faults/fault/fake_wall.so"), self.shim)
        os.chmod(self.shim, 0o755)
        self.file = open(self.path, "wb", buffering=0)
        self.set(0)
        for pool in ONE_EACH:
            if pool != "model":
                t.p.settings.setdefault(pool, {}).update(LD_PRELOAD=self.shim, AIRLOCK_FAKE_WALL=self.path)

    def set(self, seconds):
        os.pwrite(self.file.fileno(), struct.pack("=q", seconds), 0)


def submit_keyed(t, ask, n):
    sample, _ = samples(TOP)["no-execution"]
    body = json.loads(json.dumps(sample["body"]))
    body.setdefault("airlock", {})["deadline_ms"] = FAR_MS
    body["input"] += " (key %d)" % n
    end = time.monotonic() + 60
    while True:
        status, answer, later = ask.ask("POST", sample["url"], json.dumps(body), {"Idempotency-Key": "clock-%d" % n})
        if status == 200 or time.monotonic() > end:
            return answer.get("id") if status == 200 else "%s %s" % (status, answer)
        time.sleep(min(later or 0.2, 1))


def test(t):
    wall = Wall(t)
    t.p.start()
    clients = t.clients(300, 12, runs_share=0.1, deadline_ms=FAR_MS)
    clients.start()
    ask, first, seen = t.asks(), {}, []
    for step, seconds in enumerate(STEPS_S):
        before = t.count("select count(*) from airlock.results")
        for n in range(step * KEYS, (step + 1) * KEYS):
            first[n] = submit_keyed(t, ask, n)
        wall.set(seconds)
        time.sleep(STAY_S)  # the length of the step, not a wait for anything
        t.holds("at %+d s the flow goes on" % seconds, wait_until(60, lambda: t.count("select count(*) from airlock.results") > before, 0.2))
        again = {n: submit_keyed(t, ask, n) for n in first}
        t.holds("at %+d s a key gives the request that it gave" % seconds, again == first, [(n, again[n], first[n]) for n in first if again[n] != first[n]][:3])
        seen.append(t.count("select count(*) from airlock.requests where abs(extract(epoch from created_at - now())) > 1800"))
    t.holds("the programs saw the steps", seen[-1] > 0, seen)
    t.finish(clients)
    wait_until(60, lambda: t.count("select count(*) from airlock.results") == t.count("select count(*) from airlock.requests"), 0.3)
    t.audit()
    expired = t.count("select count(*) from airlock.results where status = 'expired'")
    t.holds("no request has expired", expired == 0, expired)
    unproven = t.count("select count(*) from airlock.results where status = 'released' and (screen_decision, inspect_decision, review_decision) is distinct"
                       " from ('allow', 'allow', 'allow')")
    t.holds("nothing is released before its verdicts", unproven == 0, unproven)
    ids = t.count("select count(*) - count(distinct id) from airlock.requests")
    t.holds("no id was given twice", ids == 0, ids)
    t.holds("no program ended", t.unexpected() == 0)
    t.figure("clock: steps of %s s, %d requests, %d of them made under a wrong clock, %d expired, %d released without verdicts, %d keys asked again at each step",
             " ".join("%+d" % s for s in STEPS_S), clients.accepted, seen[-1], expired, unproven, len(first))


main(test, ONE_EACH, start=False)
