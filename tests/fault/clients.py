"""clients: those who submit and read.  What they were told goes into the journal, and the auditor holds the system to it.

A case is a request with the end that it must have.  Most submits carry an Idempotency-Key and are repeated until they are answered, as the
SDKs do; the rest are asked once, and without an answer nothing is promised.
"""
import hashlib
import heapq
import http.client
import json
import os
import random
import threading
import time

ASK_S = 20          # a submit or a read without an answer
REPEAT_S = 90       # a submit that is repeated without ever being accepted
LIGHT = ["no-execution", "own-program", "refuse-malware", "refuse-base64", "refuse-destructive-code", "refuse-reverse-shell", "no-execution"]
RUNS = ["py-roman", "py-matrix", "sh-longest", "sh-count", "own-program-tests", "refuse-private-key", "sh-exit-3", "repaired", "py-wrong-leap"]


def samples(top):
    folder = os.path.join(top, "producers", "examples")
    found = {}
    with open(os.path.join(folder, "samples.jsonl"), encoding="utf-8") as lines, open(os.path.join(folder, "expected.jsonl"), encoding="utf-8") as wants:
        for line, want in zip(lines, wants):
            want = json.loads(want)
            if want["custom_id"] in LIGHT + RUNS + ["is-cancelled"] and want["custom_id"] not in found:
                found[want["custom_id"]] = (json.loads(line), want)
    return found


class Connection:
    """One gateway, kept open; any failure closes it."""

    def __init__(self, port, key):
        self.port, self.key, self.http = port, key, None

    def ask(self, method, path, body=None, headers=None):
        """(status, document, Retry-After); (0, why, 0) without an answer."""
        try:
            if not self.http:
                self.http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ASK_S)
            self.http.request(method, path, body, {"Authorization": "Bearer " + self.key, "Content-Type": "application/json", **(headers or {})})
            answer = self.http.getresponse()
            text = answer.read()
            later = float(answer.getheader("Retry-After") or 0)
            return answer.status, json.loads(text or b"{}"), later
        except (OSError, http.client.HTTPException, ValueError) as e:
            if self.http:
                self.http.close()
            self.http = None
            return 0, type(e).__name__, 0


class Clients:
    def __init__(self, pipeline, top, rate, least, most, seed, first=0, runs_share=0.25, deadline_ms=None, submitters=8, readers=4):
        self.pipeline, self.journal = pipeline, pipeline.journal
        self.samples = samples(top)
        self.rate, self.first, self.least, self.most, self.seed = rate, first, first + least, first + most, seed
        self.runs_share, self.deadline_ms = runs_share, deadline_ms
        self.lock = threading.Lock()
        self.next_case, self.begin, self.accepted, self.ended, self.given_up = first, time.monotonic(), 0, 0, 0
        self.go_on, self.reading = True, True
        self.due = []        # (when, id, case): accepted, end not yet seen
        self.submitters = [threading.Thread(target=self.submit_all, args=(i,), daemon=True) for i in range(submitters)]
        self.readers = [threading.Thread(target=self.read_all, args=(i,), daemon=True) for i in range(readers)]

    def start(self):
        for t in self.submitters + self.readers:
            t.start()

    # ---- submitting ----

    def connections(self):
        return [Connection(g.port, self.pipeline.key) for g in self.pipeline.pools["gateway"]]

    def take_case(self):
        """The number of the next case, at the rate wanted; None when enough were submitted."""
        with self.lock:
            n = self.next_case
            if n >= self.most or (not self.go_on and n >= self.least):
                return None
            self.next_case += 1
            wait = self.begin + (n - self.first) / self.rate - time.monotonic()
            if wait < -1:
                self.begin -= wait # what was missed is not made up for at once
        time.sleep(max(wait, 0))
        return n

    def make(self, n):
        r = random.Random(self.seed * 1000003 + n)
        name = r.choice(RUNS if r.random() < self.runs_share else LIGHT)
        sample, want = self.samples[name]
        body = json.loads(json.dumps(sample["body"]))
        own = body if sample["url"].endswith("runs") else body.setdefault("airlock", {})
        own["custom_id"] = "case-%d" % n
        if self.deadline_ms:
            own["deadline_ms"] = self.deadline_ms
        if "input" in body:
            body["input"] += " (case %d)" % n
        if r.random() < 0.3 and not sample["url"].endswith("runs"):
            body["service_tier"] = "priority"
        keyed = r.random() < 0.8
        later = r.random()
        return {"n": n, "name": name, "url": sample["url"], "body": json.dumps(body), "want": want, "keyed": keyed,
                "cancel": later < 0.02, "delete": 0.02 <= later < 0.03, "repeat": keyed and 0.03 <= later < 0.05}

    def submit_all(self, number):
        asks = self.connections()
        while True:
            n = self.take_case()
            if n is None:
                return
            self.submit(self.make(n), asks)

    def submit(self, case, asks):
        headers = {"Idempotency-Key": "key-%d-%d" % (self.seed, case["n"])} if case["keyed"] else {}
        self.journal.write("submit", n=case["n"], name=case["name"], keyed=case["keyed"], status=case["want"]["status"], cancel=case["cancel"],
                           delete=case["delete"])
        end, turn = time.monotonic() + REPEAT_S, case["n"]
        while True:
            turn += 1
            status, answer, later = asks[turn % len(asks)].ask("POST", case["url"], case["body"], headers)
            if status == 200:
                break
            if status not in (0, 409, 429, 503):
                self.journal.write("rejected", n=case["n"], status=status, answer=answer)
                return
            if not case["keyed"] or time.monotonic() > end:
                self.journal.write("unanswered", n=case["n"], keyed=case["keyed"], status=status, answer=answer)
                with self.lock:
                    self.given_up += 1
                return
            time.sleep(min(later or 0.2, 1))
        self.journal.write("accepted", n=case["n"], id=answer["id"])
        if case["repeat"]:
            status, again, _ = asks[(turn + 1) % len(asks)].ask("POST", case["url"], case["body"], headers)
            if status == 200:
                self.journal.write("repeated", n=case["n"], id=again["id"])
        if case["cancel"]:
            time.sleep(case.get("wait", 0))
            end, status = time.monotonic() + REPEAT_S, 0
            while status in (0, 503) and time.monotonic() < end: # a gateway that was killed took no cancel
                turn += 1
                status, _, later = asks[turn % len(asks)].ask("POST", "/v1/responses/%s/cancel" % answer["id"])
                if status in (0, 503):
                    time.sleep(min(later or 0.2, 1))
            self.journal.write("cancelled", n=case["n"], id=answer["id"], status=status)
        with self.lock:
            self.accepted += 1
            heapq.heappush(self.due, (time.monotonic() + 0.3, answer["id"], case["n"], 0.5, case["delete"]))

    def submit_cancelled(self):
        """A request whose model answers after a minute, cancelled while it waits."""
        sample, want = self.samples["is-cancelled"]
        with self.lock:
            n = self.next_case
            self.next_case += 1
        body = json.loads(json.dumps(sample["body"]))
        body["airlock"]["custom_id"] = "case-%d" % n
        body["input"] += " (case %d)" % n
        self.submit({"n": n, "name": "is-cancelled", "url": sample["url"], "body": json.dumps(body), "want": want, "keyed": True, "cancel": True,
                     "delete": False, "repeat": False, "wait": 0.7}, self.connections())

    # ---- reading ----

    def read_all(self, number):
        asks, turn = self.connections(), number
        while self.reading:
            with self.lock:
                one = heapq.heappop(self.due) if self.due and self.due[0][0] <= time.monotonic() else None
            if not one:
                time.sleep(0.02)
                continue
            turn += 1
            _, rid, n, pause, delete = one
            if not self.read(asks[turn % len(asks)], rid, n, delete):
                with self.lock:
                    heapq.heappush(self.due, (time.monotonic() + pause, rid, n, min(pause * 1.5, 4), delete))

    def read(self, ask, rid, n, delete=False, final=False):
        status, answer, _ = ask.ask("GET", "/v1/responses/" + rid)
        if status != 200:
            if status == 404:
                self.journal.write("read", n=n, id=rid, status="404", final=final)
            return False
        text = [p for o in answer.get("output") or [] for p in o.get("content") or [] if p.get("type") == "output_text"]
        run = (answer.get("airlock") or {}).get("run") or {}
        shown = bool(text or run)
        state = answer.get("status")
        if state in ("queued", "in_progress") and not shown and not final:
            return False
        self.journal.write("read", n=n, id=rid, status=state, recorded=(answer.get("airlock") or {}).get("status"), shown=shown, final=final,
                           answer=hashlib.sha256(text[0]["text"].encode()).hexdigest() if text else None,
                           out=hashlib.sha256(((run.get("stdout") or {}).get("base64") or "").encode()).hexdigest() if run else None)
        if state in ("queued", "in_progress"):
            return False
        if delete and not final:
            code, _, _ = ask.ask("DELETE", "/v1/responses/" + rid)
            if code != 200:
                return False
            self.journal.write("deleted", n=n, id=rid)
        with self.lock:
            self.ended += 1
        return True

    def open_count(self):
        with self.lock:
            return self.accepted - self.ended

    def finish_submitting(self, seconds):
        self.go_on = False
        end = time.monotonic() + seconds
        for t in self.submitters:
            t.join(max(0.1, end - time.monotonic()))
        return not any(t.is_alive() for t in self.submitters)

    def finish_reading(self, still_s):
        """Until every accepted request was seen to end, or nothing has ended for still_s."""
        last, since = None, time.monotonic()
        while self.open_count() > 0:
            now = self.open_count()
            if now != last:
                last, since = now, time.monotonic()
            if time.monotonic() - since > still_s:
                break
            time.sleep(0.1)
        self.reading = False
        for t in self.readers:
            t.join(ASK_S + 5)
        return self.open_count() == 0
