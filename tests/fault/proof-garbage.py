#!/usr/bin/python3
"""Thousands of garbage messages in every topic while good requests flow: each is a dead letter or refused by its reader, the good ones end as they
must, no program ends, and none keeps the memory."""
import os
import random
import re
import time

from pipeline import TOPICS, wait_until
from proof import ONE_EACH, STEPS, main

COUNT = int(os.environ.get("AIRLOCK_GARBAGE") or 10000)  # a topic
GOOD = 400
PIECE = 500
DRAIN_S = 400
GROWTH_KIB = 96 * 1024   # of any program, over what it held before; caches and arenas included
MAC = b'{"kind":"mac"'
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def wrong_mac(r, genuine):
    """A genuine message of this topic, with its key and headers, in which each signature has another letter."""
    key, value, headers = r.choice(genuine)
    return key, re.sub(rb'"[A-Za-z0-9+/]{43}="', lambda m: other_letter(r, m.group()), value), headers


def other_letter(r, text):
    at = r.randrange(1, 40)
    return text[:at] + bytes([r.choice([c for c in ALPHABET if c != text[at]])]) + text[at + 1:]


def half_valid(r, genuine):
    """The beginning of one, under a key of its own."""
    _, value, headers = r.choice(genuine)
    return "%032x" % r.getrandbits(128), value[:r.randrange(1, len(value))], headers


def random_bytes(r, _):
    return "%08x" % r.getrandbits(32), r.randbytes(r.randrange(1, 1500)), {}


def random_line(r, _):
    kind = r.choice(["request", "mac", "screen", "infer", "run", "end", "control", "alert", "none"])
    return None, b'{"kind":"%s","v":%d,"id":"%x"}\n' % (kind.encode(), r.randrange(3), r.getrandbits(128)), {"airlock-version": b"%d" % r.randrange(9)}


def garbage(topic, genuine, seed):
    r = random.Random("%d %s" % (seed, topic))
    kinds = [random_bytes, random_line] + ([half_valid, wrong_mac] if genuine else [])
    return [kinds[i % len(kinds)](r, genuine) for i in range(COUNT)]


def test(t):
    p = t.p
    first = t.clients(60, 60, first=1000000, runs_share=0.3)
    first.start()
    t.finish(first, "the requests that are copied end")
    wait_until(60, p.recorded)
    samples = {topic: [m for m in p.read_records(topic) if m[1].startswith(b'{"kind"') and MAC in m[1]] for topic in TOPICS}
    for topic in TOPICS: # what no request wrote on, a topic nearby did
        samples[topic] = samples[topic] or samples["airlock.results"]
    written = {topic: garbage(topic, samples[topic], t.seed) for topic in TOPICS}
    dead_before = t.count("select count(*) from airlock.dead_letters")
    refused_before = {i.name: len(t.log_lines(i, "msg=control ")) for pool in STEPS for i in p.pools[pool]}
    held = {i.name: t.memory(i) for i in p.instances()}
    began = time.monotonic()
    good = t.clients(GOOD, 8, most=3 * GOOD)
    good.start()
    for at in range(0, COUNT, PIECE):
        for topic in TOPICS:
            p.write_records(topic, written[topic][at:at + PIECE])
    t.say("%d garbage messages are written", COUNT * len(TOPICS))
    wanted = COUNT * (len(TOPICS) - 1)
    dead = lambda: t.count("select count(*) from airlock.dead_letters") - dead_before
    wait_until(DRAIN_S, lambda: dead() >= wanted, 1)
    took = time.monotonic() - began
    t.finish(good, "every good request ends")
    for row in p.rows("select topic, count(*) as n from airlock.dead_letters group by 1 order by 1"):
        t.say("%s: %d dead letters", row["topic"], row["n"])
    t.holds("each garbage message is one dead letter", dead() == wanted, dead(), wanted)
    for pool in STEPS:
        for i in p.pools[pool]:
            refused = lambda: len(t.log_lines(i, "msg=control ")) - refused_before[i.name]
            t.holds("%s refuses each on control" % i.name, wait_until(60, lambda: refused() >= COUNT, 1) and refused() == COUNT, refused())
    t.holds("no program ended", t.unexpected() == 0 and all(i.starts == 1 for i in p.instances()),
            [(i.name, i.starts) for i in p.instances() if i.starts > 1])
    grown = {i.name: t.memory(i) - held[i.name] for i in p.instances()}
    peak = max((t.memory(i, "VmHWM") - held[i.name], i.name) for i in p.instances())
    for name, kib in grown.items():
        t.holds("%s does not keep the memory" % name, kib < GROWTH_KIB, "%d KiB more" % kib)
    most = max(grown.items(), key=lambda x: x[1])
    said = t.audit(garbage=True)
    accepted = next((l.split()[-1] for l in said.splitlines() if l.strip().startswith("accepted")), "?")
    t.figure("garbage: %d messages in %d topics, %d dead letters, %d refused on control by each reader, %s good requests ended as they must; %.0f s",
             COUNT * len(TOPICS), len(TOPICS), dead(), COUNT, accepted, took)
    t.figure("garbage: memory kept: %s %+d MiB at most; peak %s %+d MiB", most[0], most[1] // 1024, peak[1], peak[0] // 1024)


main(test, dict(ONE_EACH, monitor=1))
