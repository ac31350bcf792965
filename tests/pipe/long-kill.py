#!/usr/bin/python3
"""kill -9 of every program in the middle of a batch: the supervisor starts it again, every request ends once, nothing is left behind."""
import collections
import glob
import os
import signal
import threading

from pipe import ROMAN, Gateway, holds, many, model_calls, names, pid, read, ready, sql, until, uuid_of, whole

COUNT = 160
POOLS = ("screen", "infer", "inspect", "sandbox", "review", "record", "gateway", "monitor")


def children(of):
    out = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            fields = read(path).rsplit(") ", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == of and fields[0] not in "ZX":
            out.append(int(path.split("/")[2]))
    return out


def alive(p):
    try:
        return read("/proc/%d/stat" % p).rsplit(") ", 1)[1][0] not in "ZX"
    except OSError:
        return False


def below(p):
    found = children(p)
    return found + [g for c in found for g in below(c)]


def kill(name, victim=None):
    """Its old process and all below it; returns when the supervisor has a new one."""
    old = pid(name)
    family = [old] + below(old)
    os.kill(victim or old, signal.SIGKILL)
    return family, until(45, lambda: pid(name) not in (0, old))


def test():
    gateway = Gateway()
    calls = model_calls()
    ids = []
    submitting = threading.Thread(target=lambda: many(COUNT, lambda i: ids.append(gateway.submit(ROMAN + " Kill %d." % i, "batch" if i % 2 else "interactive",
                                                                                              group="kill")), 8))
    submitting.start()
    until(60, lambda: sql("select count(*) from airlock.results where \"group\" = 'kill'")[0][0] != "0")
    for pool in POOLS:
        name = names(pool)[0]
        family, again = kill(name)
        holds("a killed %s is started again" % pool, again)
        holds("nothing of the killed %s lives on" % pool, until(20, lambda: not any(alive(p) for p in family)), family)
    # A worker whose jail died has nothing to do: it ends, too, and both come back.
    name = names("sandbox")[0]
    until(30, lambda: ready(name))
    jail = [p for p in children(pid(name)) if "airlock-jail" in read("/proc/%d/comm" % p)]
    holds("the worker has one jail", len(jail) == 1, jail)
    family, again = kill(name, jail[0])
    holds("a worker whose jail died is started again", again)
    holds("nothing of the killed jail lives on", until(20, lambda: not any(alive(p) for p in family)), family)
    submitting.join()
    holds("all were accepted", len(ids) == COUNT, len(ids))
    states = collections.Counter(h.get("status") for h in many(len(ids), lambda i: gateway.end(ids[i], 240)))
    holds("all are released", states == {"released": COUNT}, states)
    rows = sql("select count(*), count(distinct id) from airlock.results where status = 'released' and \"group\" = 'kill'")
    holds("each has one result", rows == [[str(COUNT)] * 2], rows)
    holds("nobody's request is a dead letter", sql("select count(*) from airlock.dead_letters where request_id in (select id from airlock.results where \"group\" = 'kill')") == [["0"]])
    print("calls of the model: %d for %d requests" % (model_calls() - calls, COUNT))
    holds("no request without a call of the model", model_calls() - calls >= COUNT)
    for pool in POOLS:
        holds("%s is ready again" % pool, until(60, lambda: ready(names(pool)[0])))
    groups = [g for g in glob.glob("/sys/fs/cgroup/**/airlock-jail-*", recursive=True) if not alive(int(g.rsplit("-", 1)[1]))]
    holds("no control group of a dead jail is left", not [g for g in groups if os.path.basename(g) in ["airlock-jail-%d" % p for p in family]], groups)


whole(test)
