#!/usr/bin/python3
"""Scaling is starting more consumers: a second and a third consumer of every pool join and leave in the middle of a batch.  Nothing is
lost, no model is asked twice, no program runs in vain."""
import collections
import threading

from pipe import LANES, ROMAN, Gateway, holds, many, model_calls, names, sql, topic_read, up, uuid_of, whole

COUNT = 320
POOLS = ("gateway", "screen", "infer", "inspect", "sandbox", "review", "record")


def batch(gateway):
    ids = []

    def one(i):
        ids.append(gateway.submit(ROMAN + " Number %d." % i, "batch" if i % 4 else "interactive", group="scaling"))

    thread = threading.Thread(target=lambda: many(COUNT, one))
    thread.start()
    return ids, thread


def test():
    gateway = Gateway()
    calls = model_calls()
    ids, submitting = batch(gateway)
    sizes = []
    for n in (2, 3, 1):
        up(**{pool: n for pool in POOLS})
        sizes.append([len(names(pool)) for pool in POOLS])
        ended = len(ids) and int(sql("select count(*) from airlock.results where \"group\" = 'scaling'")[0][0])
        print("%d consumers a pool: %d of %d submitted, %d ended" % (n, len(ids), COUNT, ended))
    submitting.join()
    holds("each pool had two, three and one", sizes == [[2] * len(POOLS), [3] * len(POOLS), [1] * len(POOLS)], sizes)
    holds("all were accepted", len(ids) == COUNT, len(ids))
    states = collections.Counter(h.get("status") for h in many(len(ids), lambda i: gateway.end(ids[i], 240)))
    holds("all are released", states == {"released": COUNT}, states)
    holds("the model was asked once a request", model_calls() - calls == COUNT, model_calls() - calls)
    keys = {uuid_of(i) for i in ids}
    for topic in ("requests", "prompts", "candidates", "programs", "runs", "results"):
        seen = collections.Counter(m.key for suffix in ([""] if topic == "results" else [s for _, s in LANES])
                                   for m in topic_read("airlock." + topic + suffix) if m.key in keys)
        twice = [k for k, n in seen.items() if n > 1]
        holds("airlock.%s holds each once" % topic, len(seen) == COUNT and not twice, len(seen), twice[:5])
    holds("nothing came late", sql("select count(*) from airlock.results_late l join airlock.results r using (id) where r.\"group\" = 'scaling'") == [["0"]])


whole(test)
