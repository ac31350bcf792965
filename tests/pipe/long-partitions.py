#!/usr/bin/python3
"""Partitions that are added to the topics of a running pipeline are read by everyone: what lands on them ends like all else."""
import collections
import glob
import os
import signal
import subprocess

from pipe import ROMAN, TOP, Gateway, holds, many, pid, ready, send, topic_read, until, uuid_of, whole

GROWN = ("airlock.requests", "airlock.results")
COUNT, MORE = 60, 4


def topics(*args):
    jars = ":".join(sorted(glob.glob(os.path.join(TOP, ".deps", "kafka", "*.jar"))))
    return subprocess.run(["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", jars, "org.apache.kafka.tools.TopicCommand",
                           "--bootstrap-server", os.environ["AIRLOCK_KAFKA"]] + list(args), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=120)


def test():
    gateway = Gateway()
    before = int(topics("--describe", "--topic", GROWN[0]).stdout.split("PartitionCount:")[1].split()[0])
    for topic in GROWN:
        done = topics("--alter", "--topic", topic, "--partitions", str(before + MORE))
        holds("%s has more partitions" % topic, done.returncode == 0, done.stdout[-300:])
    # Who publishes learns of them within five minutes, or when it starts.
    for name in ("gateway-1", "review-1"):
        old = send(name, signal.SIGTERM)
        holds("%s starts anew" % name, until(60, lambda: pid(name) not in (0, old) and ready(name)))
    ids = many(COUNT, lambda i: gateway.submit(ROMAN + " Partition %d." % i, group="partitions"))
    keys = {uuid_of(i) for i in ids}
    states = collections.Counter(h.get("status") for h in many(COUNT, lambda i: gateway.end(ids[i], 240)))
    holds("all are released, wherever they landed", states == {"released": COUNT}, states)
    for topic in GROWN:
        landed = sum(1 for m in topic_read(topic) if m.key in keys and m.partition >= before)
        holds("some of them landed on the new partitions of %s" % topic, landed > 0)


whole(test)
