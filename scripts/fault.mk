# Faults: every program killed at every point that matters, what it talks to gone, and an auditor that compares journal, log and tables.

$(OUT)/fault/log: $(call objects,tests/fault/log.c) $(LIBS_ALL)
	@mkdir -p $(@D)
	@echo "ld $@"
	@$(CC) $(ALL_LDFLAGS) -o $@ $(call objects,tests/fault/log.c) $(LIBS_ALL) $(IO_LIBS) $(BASE_LIBS)

# Preloaded by a test that sets the wall clock; found by the dynamic loader, so it is no archive of ours.
FAKE_WALL = $(OUT)/fault/fake_wall.so
$(FAKE_WALL): tests/fake/fake_wall.c
	@mkdir -p $(@D)
	@echo "ld fake_wall.so"
	@$(CC) $(CPPFLAGS) -std=c17 -O2 -g $(WARN) $(filter-out -fPIE,$(HARDEN_C)) -fPIC -shared -Wl,-z,relro,-z,now,-z,noexecstack -o $@ $<

.PHONY: fault-build check-fault check-fault-long check-proofs check-calls-san soak
# The programs with crash points, and what the tests need beside them.
fault-build:
	@$(MAKE) --no-print-directory -s FAULTS=1 build build/faults/fault/log build/faults/fault/fake_wall.so

check-fault: fault-build ## every crash point, kills, lost servers; then journal, log and tables are compared
	@scripts/as-root scripts/run-tests tests/fault/short.sh

# Three seeds with each point in each step, then builds with one rule broken: those the auditor must find.
check-fault-long: fault-build
	@scripts/as-root scripts/run-tests tests/fault/long.sh tests/fault/broken.sh

# One promise each, with its figure: garbage, lost logs, calls that fail, poison, a recorder that stops in COPY, a wall clock that steps.
check-proofs: fault-build
	@scripts/as-root scripts/run-tests $(sort $(wildcard tests/fault/proof-*.py))

# Whatever call fails: no leak, no byte out of bounds.  The checker of leaks needs a working ptrace.
check-calls-san:
	@$(MAKE) --no-print-directory -s FAULTS=1 SANITIZE=1 build build/faults-san/fault/log
	@AIRLOCK_BINARIES=build/faults-san/bin AIRLOCK_CALLS=$${AIRLOCK_CALLS:-8} ASAN_OPTIONS=detect_leaks=1 \
		LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0 scripts/as-root scripts/run-tests tests/fault/proof-calls.py

soak: fault-build ## an hour: 2,000 kills and 100,000 requests, then the auditor
	@scripts/as-root tests/fault/driver --binaries build/faults/bin --requests 100000 --kills 2000 --gap 0.85 --rate 60 --runs-share 0.03 --points --freezes 90
