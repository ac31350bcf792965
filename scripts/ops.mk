# Everything around the programs.  Pools: make up SCREEN=2 INFER=3 SANDBOX=2 ...

.PHONY: setup test check-ops

setup: ## install what is missing: Debian packages, librdkafka, Kafka, the clients of the tests
	@scripts/setup

test: ## all tests, in order; installs what is missing first
	@scripts/setup
	@scripts/test check check-san check-fault check-escape check-pipe check-ops

check-ops: ## set-up, servers and supervisor: what they leave behind, and what they come back from
	@scripts/run-tests $(sort $(wildcard tests/ops/*.sh))
