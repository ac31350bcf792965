#!/usr/bin/python3
"""A recorder that stops in the middle of COPY: another ends its connection, takes its partitions and writes; the stopped one goes on and doubles
nothing."""
import signal
import time

from pipeline import wait_until
from proof import ONE_EACH, main

POINTS = ["copy.half:5:stop", "flush.copied:5:stop"]
FREEZE_S, TAKE_S = 60, 60


def owners(t):
    return {(r["topic"], r["partition"]): r["owner"] for r in t.p.rows("select topic, partition, owner from airlock.offsets")}


def moves_of(t, places, after):
    """(partitions of these that have moved since, all of them that have something to read)."""
    return sum((r["topic"], r["partition"]) in places for r in t.p.rows("select distinct topic, partition from public.offset_moves where n > %d" % after))


def freeze_one(t, point):
    i = t.p.pools["record"][0]
    i.stop()
    i.start(crash=point)
    if not t.holds("%s: it is reached" % point, wait_until(FREEZE_S, i.is_frozen, 0.02)):
        return
    began, before = time.monotonic(), owners(t)
    last = t.count("select coalesce(max(n), 0) from public.offset_moves")
    t.holds("%s: another takes its partitions" % point, wait_until(TAKE_S, lambda: len(set(owners(t).values())) == 1, 0.05))
    now = owners(t)
    taken = {at for at in now if before.get(at) != now[at]}
    took = time.monotonic() - began
    t.holds("%s: another writes them" % point, wait_until(TAKE_S, lambda: moves_of(t, taken, last) > 0, 0.05))
    wrote = time.monotonic() - began
    wait_until(TAKE_S, lambda: t.count("select coalesce(max(n), 0) from public.offset_moves") > last + 100, 0.1)
    t.holds("%s: it is still stopped" % point, i.is_frozen())
    i.send(signal.SIGCONT, "goes on")
    t.holds("%s: it goes on as one of two" % point, wait_until(TAKE_S, lambda: len(set(owners(t).values())) == 2, 0.1))
    t.figure("recorder stopped at %s: %d partitions, another had them after %.1f s and wrote after %.1f s", point, len(taken), took, wrote)


def test(t):
    clients = t.clients(300, 30, runs_share=0)
    clients.start()
    for point in POINTS:
        freeze_one(t, point)
    t.finish(clients)
    t.audit()
    doubled = sum(t.count("select count(*) - count(distinct id) from airlock.%s" % table) for table in ("requests", "results"))
    booked = t.count("select (select coalesce(sum(results), 0) from airlock.ledger) - (select count(*) from airlock.results)")
    t.holds("no row is doubled", doubled == 0 and booked == 0, doubled, booked)
    t.figure("recorder stopped in COPY: %d requests, rows doubled: %d, results booked twice: %d", clients.accepted, doubled, booked)


main(test, dict(ONE_EACH, record=2))
