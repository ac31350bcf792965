# Faults: every program killed at every point that matters, what it talks to gone, and an auditor that compares journal, log and tables.

$(OUT)/fault/log: $(call objects,tests/fault/log.c) $(LIBS_ALL)
	@mkdir -p $(@D)
	@echo "ld $@"
	@$(CC) $(ALL_LDFLAGS) -o $@ $(call objects,tests/fault/log.c) $(LIBS_ALL) $(IO_LIBS) $(BASE_LIBS)

# The programs with crash points, and what the tests need beside them.
FAULT_DRIVER = tests/fault/driver --binaries build/faults/bin

.PHONY: fault-build fault
fault-build:
	@$(MAKE) --no-print-directory -s FAULTS=1 build build/faults/fault/log

fault: fault-build ## kills, crash points, lost servers: the short form
	@scripts/run-tests tests/fault/short.sh
