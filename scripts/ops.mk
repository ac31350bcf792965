# Everything around the programs.  Pools: make up SCREEN=2 INFER=3 SANDBOX=2 ...

.PHONY: setup up down status demo test test-build example check-ops check-pipe

setup: ## install what is missing: Debian packages, librdkafka, Kafka, the clients of the tests
	@scripts/setup

up: ## servers and every pool under a supervisor: make up INFER=3 SANDBOX=2 (GATEWAY SCREEN INSPECT REVIEW RECORD MONITOR too)
	@scripts/setup
	@$(MAKE) --no-print-directory -s build
	@scripts/as-root scripts/up gateway=$(GATEWAY) screen=$(SCREEN) infer=$(INFER) inspect=$(INSPECT) sandbox=$(SANDBOX) review=$(REVIEW) \
		record=$(RECORD) monitor=$(MONITOR)

down: ## end all that make up started; the data stays
	@scripts/as-root scripts/down

status: ## one line a service
	@scripts/as-root scripts/status

demo: ## the sample batch through everything, ending in a table
	@scripts/setup
	@$(MAKE) --no-print-directory -s build
	@scripts/as-root scripts/up
	@scripts/as-root scripts/demo

# A topic read and written by hand, for the pipe tests.
PIPE_HAND = $(OUT)/pipe/hand
$(PIPE_HAND): $(call objects,tests/pipe/hand.c) $(LIBS_ALL)
	@mkdir -p $(@D)
	@echo "ld $@"
	@$(CC) $(ALL_LDFLAGS) -o $@ $(call objects,tests/pipe/hand.c) $(LIBS_ALL) $(IO_LIBS) $(BASE_LIBS)

# What makes a model or a moderation endpoint fail has a pipeline of its own, with settings of its own.
UPSTREAM_TESTS = tests/pipe/t40-moderation.sh tests/pipe/t50-model-faults.sh
.PHONY: check-upstreams
check-pipe: build $(PIPE_HAND) ## the whole pipeline on real Kafka and PostgreSQL, on ports of its own
	@scripts/as-root tests/pipe/run $(filter-out $(UPSTREAM_TESTS),$(sort $(wildcard tests/pipe/t*.sh tests/pipe/t*.py)))

check-upstreams: build $(PIPE_HAND) ## the same with a model and a moderation endpoint that fail in every way
	@scripts/as-root tests/pipe/run $(UPSTREAM_TESTS)

# Built in one go, because parts that run beside each other must have nothing left to build.
test-build:
	@$(MAKE) --no-print-directory -s -j$$(nproc) build $(UNIT_BIN) $(LOOP_BIN) $(DB_BIN) $(PIPE_HAND) $(ESCAPE_BIN) $(OUT)/fuzz/fuzz
	@$(MAKE) --no-print-directory -s -j$$(nproc) SANITIZE=1 $(UNIT_BIN:$(OUT)/%=$(BUILD)/san/%) $(LOOP_BIN:$(OUT)/%=$(BUILD)/san/%)
	@$(MAKE) --no-print-directory -s -j$$(nproc) fault-build

# What only waits runs beside something else; what counts processes, mounts or control groups of the machine, and the fault run, has it alone.
test: ## all tests, in order; installs what is missing first
	@scripts/setup
	@$(MAKE) --no-print-directory -s test-build
	@scripts/test 'check | check-san check-fuzz' 'check-pipe | check-upstreams | check-ops | check-db' 'check-escape check-oci' check-fault

example: build ## write deploy/airlock.conf.example from the programs' tables
	@scripts/example >deploy/airlock.conf.example

check-ops: ## set-up, servers and supervisor: what they leave behind, and what they come back from
	@scripts/as-root scripts/run-tests -j 2 $(filter-out tests/ops/lib.sh,$(sort $(wildcard tests/ops/*.sh)))

.PHONY: check-pipe-long check-disks test-long
# Minutes on an idle machine: consumers that come and go, kill -9 of everything, servers that are away, partitions that are added.
check-pipe-long: build $(PIPE_HAND)
	@scripts/as-root tests/pipe/run $(sort $(wildcard tests/pipe/long-*.py))

# Small disks that a test fills, under a pipeline of their own.
check-disks: build $(PIPE_HAND)
	@AIRLOCK_PIPE_DISKS=256 scripts/as-root tests/pipe/run tests/pipe/disk-full.py

test-long: ## what takes longer: kills, outages and added partitions on a running pipeline, the long fault runs, the sandbox by the thousand
	@scripts/setup
	@scripts/test check-pipe-long check-disks check-proofs check-calls-san check-fault-long check-escape-long check-oci-long
