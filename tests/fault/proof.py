"""proof: what the proofs beside it share: a pipeline of their own, promises that are counted, figures, requests that must end as they must.

A proof says main(test, counts): test(proof) gets one running pipeline.  Figures are printed as "figure: ...", which scripts/run-tests shows.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

from clients import Clients, Connection
from pipeline import Pipeline, TOP, plain, shell, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
ONE_EACH = {"gateway": 1, "screen": 1, "infer": 1, "inspect": 1, "run": 1, "review": 1, "record": 1, "model": 1}
STEPS = ["screen", "infer", "inspect", "run", "review"]
BINARIES = os.environ.get("AIRLOCK_BINARIES", "build/faults/bin")
STILL_S = 90    # nothing ends for so long: then what is open is lost


class Proof:
    def __init__(self, counts, settings, seed):
        self.passed = self.failed = 0
        self.seed = seed
        self.folder = tempfile.mkdtemp(prefix="airlock-proof.", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.begin = time.monotonic()
        try:
            self.p = Pipeline(os.path.join(self.folder, "run"), BINARIES, counts, settings, seed=seed)
        except BaseException: # its servers may run already
            shell("scripts/dev-servers stop %s/run" % self.folder, check=False)
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def say(self, text, *words):
        print("%6.1f s  %s" % (time.monotonic() - self.begin, text % words if words else text), flush=True)

    def figure(self, text, *words):
        print("figure: " + (text % words if words else text), flush=True)

    def holds(self, sentence, condition, *detail):
        if condition:
            self.passed += 1
        else:
            self.failed += 1
            print("does not hold: %s" % sentence, *detail, flush=True)
        return bool(condition)

    # ---- requests ----

    def clients(self, least, rate, first=0, runs_share=0.1, most=None, **more):
        return Clients(self.p, TOP, rate, least, most or 100 * least, self.seed, first, runs_share, **more)

    def finish(self, clients, sentence="every request ends"):
        """All that were accepted have ended."""
        clients.finish_submitting(600)
        done = clients.finish_reading(STILL_S)
        self.holds(sentence, done, "%d of %d are open" % (clients.open_count(), clients.accepted))

    def audit(self, **extra):
        """The auditor's own promises, each of which counts as one that fails."""
        p = self.p
        wait_until(120, p.recorded, 0.3)
        p.note_losses()
        r = subprocess.run([os.path.join(HERE, "audit"), p.dir, p.log_tool, p.kafka, p.urls["airlock_owner"], json.dumps(extra)],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if not self.holds("journal, log and tables agree with what was promised", r.returncode == 0):
            print(r.stdout)
        return r.stdout

    def count(self, sql):
        return int(self.p.sql(sql)[0])

    def asks(self):
        return Connection(self.p.pools["gateway"][0].port, self.p.key)

    # ---- programs ----

    def page(self, instance, path):
        """What its health page says; empty when it does not answer."""
        try:
            with open(instance.health) as f:
                port = int(f.read() or 0)
            with plain.open("http://127.0.0.1:%d%s" % (port, path), timeout=5) as answer:
                return answer.read().decode()
        except (OSError, ValueError):
            return ""

    def memory(self, instance, what="VmRSS"):
        """KiB."""
        try:
            with open("/proc/%d/status" % instance.process_id()) as f:
                return next(int(line.split()[1]) for line in f if line.startswith(what + ":"))
        except (OSError, TypeError, StopIteration):
            return 0

    def log_lines(self, instance, part):
        with open(os.path.join(self.p.dir, "log", instance.name + ".log"), encoding="utf-8", errors="replace") as log:
            return [line for line in log if part in line]

    def sanitized(self):
        """What a sanitizer has said of any program, here or when it ended."""
        return [line for i in self.p.instances() for part in ("Sanitizer: ", "runtime error: ") for line in self.log_lines(i, part)]

    def unexpected(self):
        """Ends that nobody asked for."""
        return self.p.journal.counts.get("unexpected", 0)

    def close(self, keep):
        self.p.close()
        if keep:
            print("kept: %s" % self.folder)
            return
        shutil.rmtree(os.path.realpath(self.p.dir), ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def main(test, counts=None, settings=None, start=True):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1)) # what was started ends, too
    proof, seed = None, int(os.environ.get("AIRLOCK_SEED") or time.time() % 1000000)
    passed, failed = 0, 1
    try:
        proof = Proof(counts or ONE_EACH, settings or {}, seed)
        proof.say("seed %d, %s", seed, proof.folder)
        if start:
            proof.p.start()
            proof.say("all programs are ready")
        test(proof)
        passed, failed = proof.passed, proof.failed
    except Exception:
        traceback.print_exc(file=sys.stdout)
        print("does not hold: the proof ran to its end")
        passed, failed = (proof.passed, proof.failed + 1) if proof else (0, 1)
    finally:
        if proof:
            proof.close(os.environ.get("AIRLOCK_KEEP") and failed)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)
