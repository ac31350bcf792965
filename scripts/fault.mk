# Faults: every program killed at every point that matters, what it talks to gone, and an auditor that compares journal, log and tables.

$(OUT)/fault/log: $(call objects,tests/fault/log.c) $(LIBS_ALL)
	@mkdir -p $(@D)
	@echo "ld $@"
	@$(CC) $(ALL_LDFLAGS) -o $@ $(call objects,tests/fault/log.c) $(LIBS_ALL) $(IO_LIBS) $(BASE_LIBS)

.PHONY: fault-build check-fault check-fault-long soak
# The programs with crash points, and what the tests need beside them.
fault-build:
	@$(MAKE) --no-print-directory -s FAULTS=1 build build/faults/fault/log

check-fault: fault-build ## every crash point, kills, lost servers; then journal, log and tables are compared
	@scripts/as-root scripts/run-tests tests/fault/short.sh

# Three seeds with each point in each step, then builds with one rule broken: those the auditor must find.
check-fault-long: fault-build
	@scripts/as-root scripts/run-tests tests/fault/long.sh tests/fault/broken.sh

soak: fault-build ## hours: 2,000 kills and 100,000 requests, then the auditor
	@scripts/as-root tests/fault/driver --binaries build/faults/bin --requests 100000 --kills 2000 --gap 3 --rate 60 --points --freezes 90
