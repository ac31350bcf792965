#!/usr/bin/python3
"""Broker, database and model away for a minute each in the middle of a batch: the backlog waits, nothing fails, nothing is lost."""
import collections
import os
import subprocess
import threading
import time

from pipe import ROMAN, RUN, Gateway, holds, many, page, pid, sql, until, whole

COUNT, AWAY_S = 200, 60
POOLS = ("screen", "infer", "inspect", "sandbox", "review", "record", "gateway", "monitor")


def sv(command, server):
    subprocess.run(["sv", "-w", "40", command, os.path.join(RUN, "service", server)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def outage(gateway, server):
    ids, began = [], time.monotonic()
    before = {pool: pid(pool + "-1") for pool in POOLS}
    group = "without-" + server
    submitting = threading.Thread(target=lambda: many(COUNT, lambda i: ids.append(gateway.submit(ROMAN + " %s %d." % (group, i),
                                                                                              "batch" if i % 2 else "interactive", group=group)), 8))
    submitting.start()
    holds("%s: the batch has begun to end" % server, until(60, lambda: sql("select count(*) from airlock.results where \"group\" = '%s'" % group) != [["0"]]))
    sv("force-stop", server)
    time.sleep(AWAY_S)  # the length of the outage, not a wait for anything
    sv("up", server)
    submitting.join()
    holds("%s: all were accepted, some of them later" % server, len(ids) == COUNT, len(ids))
    states = collections.Counter(h.get("status") for h in many(len(ids), lambda i: gateway.end(ids[i], 240)))
    holds("%s: all are released" % server, states == {"released": COUNT}, states)
    recorded = sql("select count(*), count(*) filter (where r.id is not null) from airlock.requests q left join airlock.results r using (id)"
                   " where q.\"group\" = '%s'" % group)
    print("figure: without %s for %d s: %s recorded, %s ended, %d released, %d not; %.0f s" %
          (server, AWAY_S, *recorded[0], states["released"], len(ids) - states["released"], time.monotonic() - began))
    holds("%s: what was recorded has ended, also what no client was told of" % server, until(120, lambda: sql(
        "select count(*) from airlock.requests q left join airlock.results r using (id) where q.\"group\" = '%s' and r.id is null" % group) == [["0"]]))
    for pool in POOLS:
        holds("%s: %s lived through it" % (server, pool), pid(pool + "-1") == before[pool])
        holds("%s: %s is ready again" % (server, pool), until(60, lambda: page(pool + "-1", "/readyz")))


def test():
    gateway = Gateway()
    for server in ("kafka", "postgres", "model-replay-1"):
        outage(gateway, server)


whole(test)
