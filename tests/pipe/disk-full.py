#!/usr/bin/python3
"""The disk of the broker is full, then that of PostgreSQL: submits are told to come later, nothing is lost and nothing fails, and all goes on once
there is room.  On a pipeline whose servers have small file systems of their own."""
import collections
import glob
import json
import os
import random
import threading
import time
import urllib.error
import urllib.request

from pipe import ROMAN, RUN, Gateway, holds, many, page, pid, read, sql, until, whole

CLIENTS, FULL_S = 8, 20
PACE_S = 0.3  # between two submits of a client
PAD_WORDS = 1500  # so that nobody's spare pages are enough
POOLS = ("screen", "infer", "inspect", "sandbox", "review", "record", "gateway", "monitor")
DATA = {"kafka": "kafka/data", "postgres": "postgres"}


class Filler:
    """A file that takes all there is, and what is given back."""

    def __init__(self, folder):
        self.path, self.over = os.path.join(folder, "filler"), threading.Event()
        self.file = open(self.path, "wb", buffering=0)
        self.fill()
        self.thread = threading.Thread(target=self.keep_full, daemon=True)
        self.thread.start()

    def fill(self):
        for piece in (1 << 20, 4096):
            try:
                while True:
                    self.file.write(bytes(piece))
            except OSError:
                pass

    def keep_full(self):
        while not self.over.wait(0.05):
            self.fill()

    def free(self):
        self.over.set()
        self.thread.join()
        self.file.close()
        os.unlink(self.path)


def submit(gateway, group, i, answers):
    """The id; every answer before it is noted as (status, did it say when to come again?)."""
    r = random.Random(i)
    pad = " ".join("%x" % r.getrandbits(64) for _ in range(PAD_WORDS)) # as it compresses badly, it takes room
    body = {"model": "replay-coder", "input": "%s %s %d. %s" % (ROMAN, group, i, pad), "background": True,
            "service_tier": "flex" if i % 2 else "priority", "airlock": {"language": "python", "group": group}}
    request = urllib.request.Request(gateway.url + "/v1/responses", data=json.dumps(body).encode(), method="POST", headers={
        "Authorization": "Bearer " + gateway.key, "Content-Type": "application/json", "Idempotency-Key": "%s-%d" % (group, i)})
    while True:
        try:
            with gateway.opener.open(request, timeout=70) as answer:
                return json.loads(answer.read())["id"]
        except urllib.error.HTTPError as e:
            later = e.headers.get("Retry-After")
            answers.append((e.code, later is not None))
            if e.code not in (409, 429, 503):
                raise RuntimeError("submit: %d %s" % (e.code, e.read()[:200]))
            time.sleep(min(float(later or 1), 2))
        except OSError as e:
            answers.append((type(e).__name__, True))
            time.sleep(0.5)


def complains(server):
    return any("No space left on device" in read(p) for p in glob.glob(os.path.join(RUN, "log", server, "*")) if os.path.isfile(p))


def full(gateway, server):
    group = "full-" + server
    before = {name: pid(name + "-1") for name in POOLS}
    ids, answers, waited, over = [], [], [], threading.Event()

    def submit_all(client):
        i = client
        while not over.is_set():
            began = time.monotonic()
            ids.append(submit(gateway, group, i, answers))
            waited.append(time.monotonic() - began)
            i += CLIENTS
            over.wait(PACE_S)
    submitting = threading.Thread(target=lambda: many(CLIENTS, submit_all))
    submitting.start()
    ended = lambda: int(sql("select count(*) from airlock.results where \"group\" = '%s'" % group)[0][0])
    holds("%s: the batch has begun to end" % server, until(60, lambda: ended() > 10))
    filler = Filler(os.path.join(RUN, DATA[server]))
    began = time.monotonic()
    noticed = until(60, lambda: complains(server))
    holds("%s: it ran out of room" % server, noticed)
    time.sleep(FULL_S)  # the length of the trouble, not a wait for anything
    filler.free()
    took, freed = time.monotonic() - began, time.monotonic()
    over.set()
    submitting.join()
    holds("%s: all were accepted in the end, some had to wait" % server, max(waited) > 2, max(waited))
    told = collections.Counter(answers)
    holds("%s: who was not accepted was told when to come again" % server, all(when for _, when in told), told)
    holds("%s: nobody was told anything else than that" % server, all(code in (409, 429, 503) for code, _ in told), told)
    states = collections.Counter(h.get("status") for h in many(len(ids), lambda i: gateway.end(ids[i], 240)))
    holds("%s: all are released" % server, states == {"released": len(ids)}, states)
    back = time.monotonic() - freed
    undecided = "select count(*) from airlock.requests q left join airlock.results r using (id) where q.\"group\" = '%s' and r.id is null" % group
    holds("%s: what was recorded has ended" % server, until(120, lambda: sql(undecided) == [["0"]]))
    rows = sql("select count(*), count(distinct id), count(*) filter (where status <> 'released') from airlock.results where \"group\" = '%s'" % group)
    holds("%s: each has one result, none of them failed" % server, rows[0][0] == rows[0][1] and rows[0][2] == "0", rows)
    for name in POOLS:
        holds("%s: %s lived through it" % (server, name), pid(name + "-1") == before[name])
        holds("%s: %s is ready again" % (server, name), until(60, lambda: page(name + "-1", "/readyz")))
    print("figure: disk full under %s for %.0f s: %d accepted, %d without a result, %s not released; told to come later: %s, longest wait %.0f s; all ended"
          " %.0f s after there was room" % (server, took, len(ids), len(ids) - int(rows[0][1]), rows[0][2],
                                            ", ".join("%s %d times" % (c, n) for (c, _), n in told.items()) or "nobody", max(waited), back))


def test():
    gateway = Gateway()
    for server in ("kafka", "postgres"):
        full(gateway, server)


whole(test)
