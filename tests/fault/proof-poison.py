#!/usr/bin/python3
"""A message in each topic of the flow that kills whoever opens it: after three kills it is a dead letter and its request has failed; all else ends as
it must."""
import collections
import json
import time

from clients import samples
from pipeline import TOP, wait_until
from proof import ONE_EACH, STEPS, main

FROM = {"screen": "requests", "infer": "prompts", "inspect": "candidates", "run": "programs", "review": "runs"}
LANES = {"": "priority", ".batch": "flex"}
ENDS_S = 120
MARK = "poison-for-%s"


def submit(t, pool, tier):
    sample, _ = samples(TOP)["py-roman"]
    body = json.loads(json.dumps(sample["body"]))
    body["airlock"]["custom_id"] = MARK % pool
    body["service_tier"] = tier
    status, answer, _ = t.asks().ask("POST", sample["url"], json.dumps(body))
    t.holds("a request that will kill %s is accepted" % pool, status == 200, status, answer)
    return answer["id"]


def kills(t):
    with open(t.p.dir + "/journal.jsonl", encoding="utf-8") as lines:
        return collections.Counter(e["pool"] for e in map(json.loads, lines) if e["what"] == "kill" and e["why"] == "poison")


def test(t):
    began = time.monotonic()
    clients = t.clients(300, 8, runs_share=0.2, most=2000)
    clients.start()
    ids = {}
    failed = lambda: {r["id"]: r for r in t.p.rows("select 'resp_' || replace(id::text, '-', '') as id, status, code from airlock.results"
                                                   " where status = 'failed'")}
    # From the last step to the first: one that is killed publishes again what it had, and a copy of a poison kills three times more.
    for pool in reversed(STEPS):
        ids.update((submit(t, pool, tier), (pool, lane)) for lane, tier in LANES.items())
        wait_until(ENDS_S, lambda: len(failed()) >= len(ids), 0.3)
    took, results = time.monotonic() - began, failed()
    t.finish(clients, "every other request ends")
    dead = collections.Counter(r["topic"] for r in t.p.rows("select topic from airlock.dead_letters where code = 'poison' and genuine and ended"))
    for rid, (pool, lane) in ids.items():
        topic = "airlock.%s%s" % (FROM[pool], lane)
        t.holds("the request that kills %s has failed" % pool, rid[:37] in results, results.get(rid[:37]))
        t.holds("it is one dead letter in %s" % topic, dead[topic] == 1, dead[topic])
    died = kills(t)
    for pool in STEPS:
        t.holds("each of its two messages killed %s three times" % pool, died[pool] == 3 * len(LANES), died[pool])
    t.holds("nothing else failed", len(results) == len(ids), len(results))
    t.audit()
    t.figure("poison: %d messages in %d topics, %s kills, %d dead letters, %d other requests ended as they must; %.0f s until the last poison was dead",
             len(ids), len(dead), sum(died.values()), sum(dead.values()), clients.accepted, took)


main(test, ONE_EACH, {pool: {"AIRLOCK_POISON": MARK % pool} for pool in STEPS})
