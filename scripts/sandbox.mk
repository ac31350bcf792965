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
$(eval $(call escape_program,lane,))
$(eval $(call escape_program,soak,tests/escape/family.c))
ESCAPE_BIN = $(addprefix $(OUT)/escape/,escape lane tasks samples soak)

AS_ROOT = scripts/as-root
TASKS ?= ../shared/data/tasks/mbpp-half-a.jsonl
JAIL_AND_RUNTIMES = $(OUT)/bin/airlock-jail workers/sandbox/runtimes

.PHONY: check-escape
check-escape: $(ESCAPE_BIN) $(OUT)/bin/airlock-jail $(OUT)/bin/airlock-run ## hostile and benign programs in the jail, each with the outcome it must have (as root)
	@scripts/count-tests $(AS_ROOT) $(OUT)/escape/escape $(JAIL_AND_RUNTIMES) tests/escape/hostile tests/escape/benign
	@scripts/count-tests $(AS_ROOT) $(OUT)/escape/lane $(JAIL_AND_RUNTIMES)
	@scripts/count-tests $(AS_ROOT) tests/escape/run.sh $(OUT)/bin
	@scripts/count-tests $(AS_ROOT) tests/escape/examples.sh $(OUT)/bin
	@scripts/count-tests $(AS_ROOT) $(OUT)/escape/soak $(JAIL_AND_RUNTIMES) mixed 96
	@scripts/count-tests $(AS_ROOT) $(OUT)/escape/soak $(JAIL_AND_RUNTIMES) soak 400
	@scripts/count-tests $(AS_ROOT) $(OUT)/escape/soak $(JAIL_AND_RUNTIMES) wall 3
	@scripts/count-tests $(AS_ROOT) $(OUT)/escape/tasks $(JAIL_AND_RUNTIMES) $(TASKS)

# SOAK_JOBS=100000 takes the better part of an hour on two cores.
SOAK_JOBS ?= 20000
.PHONY: check-escape-long
check-escape-long: $(OUT)/escape/soak $(OUT)/bin/airlock-jail ## 1,000 mixed runs with their evidence, SOAK_JOBS jobs of which 1 % are hostile, 64 processes against the wall clock
	@scripts/count-tests $(AS_ROOT) $(OUT)/escape/soak $(JAIL_AND_RUNTIMES) mixed 1000
	@scripts/count-tests $(AS_ROOT) $(OUT)/escape/soak $(JAIL_AND_RUNTIMES) wall 40
	@scripts/count-tests $(AS_ROOT) $(OUT)/escape/soak $(JAIL_AND_RUNTIMES) soak $(SOAK_JOBS)

# Pid 1 in a container of an OCI runtime: static, because a container has no library of ours.  Hardened as all others.
INSIDE = $(OUT)/bin/airlock-inside
INSIDE_SRC = workers/sandbox/inside/main.c workers/sandbox/jail_watch.c
$(INSIDE): $(INSIDE_SRC) workers/sandbox/jail_watch.h
	@mkdir -p $(@D)
	@echo "ld airlock-inside"
	@$(CC) $(CPPFLAGS) -std=c17 -O2 -g $(WARN) $(filter-out -fPIE,$(HARDEN_C)) -fPIE -static-pie -Wl,-z,relro,-z,now,-z,noexecstack -o $@ $(INSIDE_SRC)

build: $(INSIDE)
$(OUT)/bin/airlock-jail: | $(INSIDE)

# What makes an interpreter fork a job: loaded into it, so it is small, and names nothing but fork.
ZYGOTE = $(OUT)/bin/airlock-zygote.so
ZYGOTE_SRC = workers/sandbox/zygote/fork.c $(addprefix workers/sandbox/,jail_birth.c jail_enter.c jail_filter.c jail_fs.c jail_landlock.c jail_limits.c \
	jail_watch.c jail_wire.c) lib/base/buf.c lib/base/mem.c lib/base/rc.c lib/base/slice.c
$(ZYGOTE): $(ZYGOTE_SRC) $(wildcard workers/sandbox/jail_*.h)
	@mkdir -p $(@D)
	@echo "ld airlock-zygote.so"
	@$(CC) $(CPPFLAGS) -Iworkers -std=c17 -O2 -g $(WARN) $(filter-out -fPIE,$(HARDEN_C)) -fPIC -fvisibility=hidden -ffunction-sections -shared \
		-Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections,-z,defs -o $@ $(ZYGOTE_SRC)

# Pid 1 of what that forks: without a C library where we know how the machine is asked, so that starting it costs next to nothing.
INIT = $(OUT)/bin/airlock-init
INIT_SRC = workers/sandbox/inside/init.c workers/sandbox/jail_watch.c
ifneq ($(filter x86_64-% aarch64-%,$(shell $(CC) -dumpmachine)),)
INIT_SRC += workers/sandbox/inside/bare.c
INIT_FLAGS = -nostdlib -ffreestanding -fno-stack-protector -U_FORTIFY_SOURCE -Wl,--no-dynamic-linker,-z,norelro,--build-id=none
endif
$(INIT): $(INIT_SRC) workers/sandbox/jail_watch.h
	@mkdir -p $(@D)
	@echo "ld airlock-init"
	@$(CC) $(CPPFLAGS) -std=c17 -O2 -g $(WARN) $(filter-out -fPIE,$(HARDEN_C)) -fPIE -static-pie -Wl,-z,noexecstack $(INIT_FLAGS) -o $@ $(INIT_SRC)

build: $(ZYGOTE) $(INIT)
$(OUT)/bin/airlock-jail: | $(ZYGOTE) $(INIT)

# The programs of check-escape in containers.  One runtime in make test; all in test-long, where gVisor takes ten times as long as the others.
OCI_PROGRAMS = $(OUT)/escape/escape $(OUT)/bin/airlock-jail
OCI_TEST = scripts/count-tests $(AS_ROOT) tests/escape/oci.sh $(OUT)/escape/escape $(JAIL_AND_RUNTIMES)
.PHONY: check-oci check-oci-long
check-oci: $(OCI_PROGRAMS) ## the same programs in containers of an OCI runtime, crun (as root)
	@$(OCI_TEST) -- crun

check-oci-long: $(OCI_PROGRAMS) ## the same in containers of runc, and of gVisor's runsc
	@$(OCI_TEST) -- runc runsc

.PHONY: rootfs
rootfs: ## a root file system that programs see instead of this machine's /usr: run/rootfs, or ROOTFS=folder (as root)
	@$(AS_ROOT) scripts/rootfs $(ROOTFS)
