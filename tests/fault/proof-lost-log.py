#!/usr/bin/python3
"""Twenty thousand recorded requests without a decision, then the topics that they stand in are deleted, then, in the middle of the work on them, the
whole log: the recorder notices, sends them again, and each ends once, as it must."""
import json
import os
import shutil
import threading
import time

from clients import samples
from pipeline import TOP, shell, wait_until
from proof import ONE_EACH, main

COUNT = int(os.environ.get("AIRLOCK_LOST") or 20000)
KINDS = ["no-execution", "refuse-malware", "refuse-base64", "refuse-malware"]
SUBMITTERS = 8
DONE_BEFORE = COUNT // 10  # decided when the whole log goes
NOTICE_S, REDRIVE_S, END_S = 120, 300, 900


def submit_all(t, wanted):
    """wanted gets {id: status} of all that were accepted."""
    cases, lock, left = samples(TOP), threading.Lock(), iter(range(COUNT))

    def some():
        ask = t.asks()
        while True:
            with lock:
                n = next(left, None)
            if n is None:
                return
            sample, want = cases[KINDS[n % len(KINDS)]]
            body = json.loads(json.dumps(sample["body"]))
            body["input"] += " (case %d)" % n
            body.setdefault("airlock", {})["deadline_ms"] = 6 * 3600 * 1000
            if n % 4 == 0:
                body["service_tier"] = "priority"
            status = 0
            while status != 200:
                status, answer, later = ask.ask("POST", sample["url"], json.dumps(body), {"Idempotency-Key": "lost-%d" % n})
                if status not in (0, 200, 409, 429, 503):
                    raise RuntimeError("submit: %d %s" % (status, answer))
                if status != 200:
                    time.sleep(min(later or 0.2, 1))
            with lock:
                wanted[answer["id"]] = want["status"]
    threads = [threading.Thread(target=some) for _ in range(SUBMITTERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def make_topics(p):
    shell("%s/airlock topics create --partitions %d" % (p.bin, p.partitions), AIRLOCK_KAFKA=p.kafka)


def delete_topics(p, names):
    for name in names:
        shell("java -XX:TieredStopAtLevel=1 -cp '.deps/kafka/*' org.apache.kafka.tools.TopicCommand --bootstrap-server %s --delete --topic %s" % (p.kafka, name))
    make_topics(p)


def delete_log(p):
    shell("scripts/kafka stop %s" % p.dir)
    shutil.rmtree(p.dir + "/kafka/data")
    p.start_server("kafka")
    make_topics(p)


def repaired(t, before, what):
    """Noticed and sent again; the seconds that both took, and how many were sent."""
    began = time.monotonic()
    seen = lambda: t.count("select count(*) from airlock.lost_logs") > before
    t.holds("%s: it is noticed" % what, wait_until(NOTICE_S, seen, 0.2))
    noticed = time.monotonic() - began
    open_logs = lambda: t.count("select count(*) from airlock.lost_logs where done_at is null")
    t.holds("%s: what was open is sent again" % what, wait_until(REDRIVE_S, lambda: seen() and open_logs() == 0, 0.5))
    return noticed, time.monotonic() - began


def test(t):
    p, wanted = t.p, {}
    for i in p.pools["screen"]:
        i.stop()
    began = time.monotonic()
    submit_all(t, wanted)
    t.holds("all are accepted", len(wanted) == COUNT, len(wanted))
    recorded = lambda: t.count("select count(*) from airlock.requests")
    t.holds("all are recorded", wait_until(120, lambda: recorded() == COUNT, 0.3), recorded())
    t.say("%d requests are recorded, none is decided, after %.0f s", recorded(), time.monotonic() - began)
    resent = lambda: t.count("select coalesce(sum(n), 0) from (select max(resent_count) as n from airlock.lost_logs group by owned_at) pass")

    delete_topics(p, ["airlock.requests", "airlock.requests.batch"])
    noticed, took = repaired(t, 0, "two topics deleted")
    first = resent()
    t.figure("lost topics: %d undecided requests, noticed after %.0f s, %d sent again after %.0f s", COUNT, noticed, first, took)

    decided = lambda: t.count("select count(*) from airlock.results")
    for i in p.pools["screen"]:
        i.start()
    t.holds("they are worked on", wait_until(END_S, lambda: decided() >= DONE_BEFORE, 0.3), decided())
    had, losses = decided(), t.count("select count(*) from airlock.lost_logs")
    delete_log(p)
    noticed, took = repaired(t, losses, "the whole log deleted")
    t.say("%d were decided, %d sent again", had, resent() - first)
    t.holds("each has a result", wait_until(END_S, lambda: decided() >= COUNT, 1), decided())
    ended = time.monotonic() - began
    by_id = {r["id"]: r["status"] for r in p.rows("select 'resp_' || replace(id::text, '-', '') as id, status from airlock.results")}
    lost = [i for i in wanted if i[:37] not in by_id]
    other = [(i, by_id[i[:37]]) for i in wanted if i[:37] in by_id and by_id[i[:37]] != wanted[i]]
    t.holds("none is lost", not lost, len(lost), lost[:3])
    t.holds("each ends as it must", not other, len(other), other[:3])
    t.holds("there are no more results than requests", decided() == COUNT == recorded(), decided(), recorded())
    # The group itself is gone with the log: librdkafka calls that fatal, and whoever supervises starts the program again.
    fatal = sum(len(t.log_lines(i, "The group id does not exist")) > 0 for i in p.instances())
    t.holds("a program ends only for want of its group", t.unexpected() <= fatal, t.unexpected(), fatal)
    t.figure("lost log: %d decided when all of it was deleted, noticed after %.0f s, %d sent again after %.0f s; %d of %d lost, %d results, %d other than"
             " they must be, %d late; %.0f s in all", had, noticed, resent() - first, took, len(lost), COUNT, decided(), len(other),
             t.count("select count(*) from airlock.results_late"), ended)


main(test, dict(ONE_EACH, gateway=2, screen=2))
