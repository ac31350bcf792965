#!/usr/bin/python3
"""Messages written to the topics by hand move nothing: each is dead-lettered and recorded with an alert, and the request whose lines it
copied ends as if nothing had happened."""
import base64
import hashlib
import hmac
import json
import os
import time

from pipe import (RUN, TOPICS, Gateway, Message, Stopped, holds, metric, read, sql, topic_find, topic_read, topic_write, until,
                  uuid_of, whole)

gateway = Gateway()


def sign(message, line, signer, checkers):
    """Add a line and its MACs with this program's whole key file: what a taken-over step could do."""
    keys = json.loads(read(os.path.join(RUN, "keys", signer + ".json")))
    epoch = keys["sign_epoch"]
    message += line + b"\n"
    before = hashlib.sha256(message).digest()
    out = '{"kind":"mac","v":1,"by":"%s","epoch":%d' % (signer, epoch)
    for checker in checkers:
        key = next(base64.b64decode(p["key"]) for p in keys["pairs"] if (p["epoch"], p["signer"], p["checker"]) == (epoch, signer, checker))
        text = b"airlock mac v1\0" + ("%s\0%s\0%d\0" % (signer, checker, epoch)).encode() + before
        out += ',"%s":"%s"' % (checker, base64.b64encode(hmac.new(key, text, "sha256").digest()).decode())
    return message + out.encode() + b"}\n"


def line_of(message, kind):
    """The line of that kind and the MACs behind it."""
    lines = message.lines()
    at = next(i for i, l in enumerate(lines) if l.startswith(b'{"kind":"%s"' % kind.encode()))
    return lines[at], lines[at + 1]


def join(*lines):
    return b"".join(l + b"\n" for l in lines)


def same(row):
    return sql("select encode(message_sha256, 'hex'), recorded_at from airlock.results where id = '%s'" % row)


def dead(code, key):
    return int(sql("select count(*) from airlock.dead_letters where code = '%s' and key = '%s'" % (code, key))[0][0])


def programs_that_ran():
    return {json.loads(line_of(m, "run")[0])["program_sha256"] for lane in ("", ".batch") for m in topic_read("airlock.runs" + lane)
            if b'\n{"kind":"run"' in m.bytes}


def test():
    # B has ended: its genuine messages of every step are there to be copied.
    b_id = gateway.submit()
    holds("a request ends as released", gateway.end(b_id).get("status") == "released")
    b = uuid_of(b_id)
    b_programs, b_runs, b_results = (topic_find("airlock." + t, b) for t in ("programs", "runs", "results"))
    b_row = same(b)

    # A stands before INSPECT, A2 before RUN, while by_hand() does its worst to them.
    for held, attack, topics in (("inspect-1", before_inspect, ("prompts", "candidates")), ("sandbox-1", before_run, ("prompts", "candidates", "programs"))):
        with Stopped(held):
            a_id = gateway.submit()
            a = uuid_of(a_id)
            copied = {t: topic_find("airlock." + t, a) for t in topics}
            attack(a, copied, b_programs, b_runs, b_results)
            history = gateway.history(a_id)
            holds("before %s: the request whose lines were copied has not ended" % held, history.get("status") == "in_progress", history.get("code"))
        history = gateway.end(a_id)
        holds("before %s: it ends as if nothing had happened" % held,
              (history.get("status"), history.get("run_verdict"), history.get("tests_passed")) == ("released", "ok", 1), history.get("code"))
        text = json.dumps(gateway.ask("GET", "/v1/responses/" + a_id)[1])
        holds("before %s: its text is the model's" % held, "def to_roman(n)" in text and "oux" not in text)
    ran = programs_that_ran()
    holds("the changed program never ran", hashlib.sha256(evil(code_of(b_programs))).hexdigest() not in ran and len(ran) > 0)
    holds("the other request's result is what it was", same(b) == b_row)
    replays(b, b_row)
    garbage()


def code_of(message):
    """The program that INSPECT allowed, as bytes of the answer."""
    answer = json.loads(line_of(message, "infer")[0])["text"].encode()
    at = json.loads(line_of(message, "inspect")[0])["programs"][0]
    return answer[at["offset"]:at["offset"] + at["bytes"]]


def evil(code):
    return code.replace(b"out", b"oux")


def dead_letters(where="true"):
    return int(sql("select count(*) from airlock.dead_letters where " + where)[0][0])


def each_is_dead(cases):
    """(what, message, code or None): one dead letter with an alert each, and it ends nothing."""
    for what, message, code in cases:
        before = dead_letters()
        topic_write([message])
        got = until(30, lambda: sql("select code, ended from airlock.dead_letters order by recorded_at desc limit 1") if dead_letters() > before else None)
        holds("%s: a dead letter" % what, got and (code is None or got[0][0] == code), got)
        holds("%s: it ends nothing" % what, got and got[0][1] == "f", got)
        # One a minute for each reason; those between are counted in the next.
        holds("%s: an alert" % what, until(5, lambda: sql("select count(*) from airlock.alerts where code in ('dead_letter_not_whole', 'message_refused')"
                                                          " and recorded_at > now() - interval '2 minutes'") != [["0"]]))


def run_by(message, line):
    """RUN's line behind this message, signed with RUN's own keys: what a taken-over step could do."""
    return message.having(sign(message.bytes, json.dumps(line, separators=(",", ":")).encode(), "run", ["review", "record"])).on("airlock.runs")


def before_inspect(a, copied, b_programs, b_runs, b_results):
    candidates = copied["candidates"]
    inspect_line, inspect_mac = line_of(b_programs, "inspect")
    own_mac = sign(candidates.bytes, inspect_line, "run", ["review", "record"]).split(b"\n")[-2]
    changed = b_programs.having(b_programs.bytes.replace(b"out += digits", b"oux += digits", 1))
    ran = json.loads(line_of(b_runs, "run")[0])
    each_is_dead([
        ("another's allow behind the copied lines", candidates.having(candidates.bytes + join(inspect_line, inspect_mac)).on("airlock.programs"), "mac_wrong"),
        ("an allow without a signature", candidates.having(candidates.bytes + inspect_line + b"\n").on("airlock.programs"), "message_mac"),
        ("an allow signed with RUN's own keys", candidates.having(candidates.bytes + join(inspect_line, own_mac)).on("airlock.programs"), None),
        ("the copied lines without any allow", candidates.on("airlock.programs"), "lineage_place"),
        ("a byte of code changed after INSPECT", changed.on("airlock.programs"), "mac_wrong"),
        ("another request's message under this key", Message("airlock.programs", a, b_programs.bytes, candidates.headers), "key_differs"),
        ("a run by RUN's keys without INSPECT's allow", run_by(candidates, ran), None),
        ("a run by RUN's keys behind a changed program", run_by(changed, ran), "mac_wrong"),
    ])
    # RUN may end what it was handed as failed; but a run of another program than INSPECT allowed is nothing that REVIEW works on.
    before = dead_letters("code = 'lineage_hash' and by_program = 'review'")
    topic_write([run_by(b_programs, dict(ran, program_sha256=hashlib.sha256(b"evil").hexdigest()))])
    holds("a run by RUN's keys of another program: a dead letter", until(30, lambda: dead_letters("code = 'lineage_hash' and by_program = 'review'") > before))
    straight_to_the_end(a, candidates, b_runs, b_results, inspect_line, inspect_mac)


def straight_to_the_end(a, candidates, b_runs, b_results, inspect_line, inspect_mac):
    review_line, review_mac = line_of(b_results, "review")
    end_line = json.dumps({"kind": "end", "v": 1, "id": a, "tenant": "demo", "by": "gateway", "attempt": 1, "at_ms": 1, "status": "failed", "code": "x",
                           "message": "x"}, separators=(",", ":")).encode()
    each_is_dead([(what, message.on("airlock.results"), code) for what, message, code in (
        ("a released result of copied lines", candidates.having(candidates.bytes + join(inspect_line, inspect_mac) + join(*line_of(b_runs, "run")) +
                                                                join(review_line, review_mac)), "mac_wrong"),
        ("RUN's keys under REVIEW's allow", candidates.having(sign(candidates.bytes, review_line, "run", ["review", "record"])), None),
        ("another's result under this key", Message("airlock.results", a, b_results.bytes, candidates.headers), "key_differs"),
        ("an end by the gateway with RUN's keys", Message("airlock.results", a, sign(b"", end_line, "run", ["record"]), candidates.headers), None),
    )])
    # A dead letter by hand: without a signature, and with the genuine one of another.
    genuine = next(m for m in topic_read("airlock.dead") if any(n == "airlock-dead-mac" for n, _ in m.headers))
    for what, headers in (("unsigned", [["kafka_dlt-original-topic", "airlock.programs"], ["kafka_dlt-original-partition", "0"],
                                        ["kafka_dlt-original-offset", str(time.time_ns())]]), ("with another's signature", genuine.headers)):
        before = dead_letters("not genuine")
        topic_write([Message("airlock.dead", a, candidates.bytes, headers)])
        holds("a dead letter by hand, %s, is kept as not genuine" % what, until(30, lambda: dead_letters("not genuine") > before))


def before_run(a, copied, b_programs, b_runs, b_results):
    candidates, headers = copied["candidates"], copied["candidates"].headers
    each_is_dead([
        ("the copied lines on the other lane", candidates.on("airlock.candidates.batch"), "lane_differs"),
        ("the copied lines one step ahead", copied["prompts"].on("airlock.candidates"), "lineage_place"),
        ("the copied lines one step back", copied["programs"].on("airlock.candidates"), "lineage_place"),
        ("another tenant in the headers", Message("airlock.candidates", a, candidates.bytes,
                                                  [[n, "other" if n == "airlock-tenant" else v] for n, v in headers]), "header_differs"),
        ("no headers", Message("airlock.candidates", a, candidates.bytes), "header_missing"),
        ("no key", Message("airlock.candidates", "", candidates.bytes, headers), "key_differs"),
    ])


def replays(b, b_row):
    """Every genuine message of an ended request, once more: worked on again at most, and the first result stays."""
    all_of_it = [m for t in TOPICS for m in topic_read(t) if m.key == b and m.topic not in ("airlock.dead", "airlock.control")]
    before = metric("record-1", "airlock_record_duplicate_batches_total")
    topic_write(all_of_it)
    holds("the recorder met the repeated result", until(30, lambda: metric("record-1", "airlock_record_duplicate_batches_total") > before))
    quiet = until(60, lambda: sql("select count(*) from airlock.results_late where id = '%s'" % b)[0][0] >= "1")
    holds("what differs is kept as late", quiet)
    holds("the first result stays", same(b) == b_row)


def garbage():
    kinds = [b"\x00\xff\xfe garbage \x80", b"", b'{"kind":"request"}\n', b"{" * 5000 + b"\n", b"x" * 100000, "\u202e\n".encode() * 10,
             b'{"kind":"mac","v":1,"by":"gateway","epoch":1}\n' * 60]
    before = int(sql("select count(*) from airlock.dead_letters")[0][0])
    written = [Message(t, k, bytes) for t in TOPICS for bytes in kinds for k in (b"", b"\xff\x00")]
    recorded = sum(1 for m in written if m.topic != "airlock.control") # both readers of requests say so of the same place: one row
    topic_write(written)
    count = lambda: int(sql("select count(*) from airlock.dead_letters")[0][0]) - before
    holds("garbage in every topic is recorded, each piece once", until(60, lambda: count() >= recorded) and count() == recorded, count(), recorded)
    c = gateway.submit()
    d = gateway.submit(lane="batch")
    holds("the pipeline works on", [gateway.end(i).get("status") for i in (c, d)] == ["released"] * 2)


whole(test)
