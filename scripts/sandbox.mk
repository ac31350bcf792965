# Programs of tests/escape: the worker's side of the jail, each with a file of its own (escape with frames, too).
RUN_SRC = workers/sandbox/run.c workers/sandbox/runtime.c workers/sandbox/judge.c
define escape_program
$(OUT)/escape/$(1): $(call objects,tests/escape/$(1).c $(2) $(RUN_SRC)) $(LIBS_ALL)
	@mkdir -p $$(@D)
	@echo "ld $$@"
	@$$(CC) $$(ALL_LDFLAGS) -o $$@ $(call objects,tests/escape/$(1).c $(2) $(RUN_SRC)) $(LIBS_ALL) $$(IO_LIBS) $$(BASE_LIBS)
endef
$(eval $(call escape_program,escape,tests/escape/frames.c))
$(eval $(call escape_program,tasks,))
$(eval $(call escape_program,samples,))

AS_ROOT = scripts/as-root
TASKS ?= ../shared/data/tasks/mbpp-half-a.jsonl
JAIL_AND_RUNTIMES = $(OUT)/bin/airlock-jail workers/sandbox/runtimes

.PHONY: check-escape
check-escape: $(OUT)/escape/escape $(OUT)/escape/tasks $(OUT)/escape/samples $(OUT)/bin/airlock-jail $(OUT)/bin/airlock-run ## hostile and benign programs in the jail, each with the outcome it must have (as root)
	@$(AS_ROOT) $(OUT)/escape/escape $(JAIL_AND_RUNTIMES) tests/escape/hostile tests/escape/benign
	@$(AS_ROOT) tests/escape/run.sh $(OUT)/bin
	@$(AS_ROOT) $(OUT)/escape/tasks $(JAIL_AND_RUNTIMES) $(TASKS)
