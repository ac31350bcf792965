ESCAPE_SRC = tests/escape/escape.c tests/escape/frames.c workers/sandbox/run.c workers/sandbox/runtime.c workers/sandbox/judge.c
$(OUT)/escape/escape: $(call objects,$(ESCAPE_SRC)) $(LIBS_ALL)
	@mkdir -p $(@D)
	@echo "ld $@"
	@$(CC) $(ALL_LDFLAGS) -o $@ $(call objects,$(ESCAPE_SRC)) $(LIBS_ALL) $(IO_LIBS) $(BASE_LIBS)

.PHONY: check-escape
check-escape: $(OUT)/escape/escape $(OUT)/bin/airlock-jail $(OUT)/bin/airlock-run ## hostile and benign programs in the jail, each with the outcome it must have (as root)
	@$(if $(filter 0,$(shell id -u)),,sudo) $(OUT)/escape/escape $(OUT)/bin/airlock-jail workers/sandbox/runtimes tests/escape/hostile tests/escape/benign
	@$(if $(filter 0,$(shell id -u)),,sudo) tests/escape/run.sh $(OUT)/bin
