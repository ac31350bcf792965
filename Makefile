# Airlock.  One file, not recursive; everything made goes into build/ (or BUILD=...), everything fetched into .deps/.
# `make help` lists the targets.

BUILD ?= build
DEPS ?= .deps
CC = gcc
VERSION := 0.1.0

# Hardening: OpenSSF's compiler options guide, what gcc 12 accepts of it.
HARDEN_C = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection \
	-fcf-protection=full -fPIE -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks \
	-fno-strict-overflow -fno-strict-aliasing
HARDEN_LD = -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
WARN = -Wall -Wextra -Wformat=2 -Wconversion -Wno-sign-conversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wimplicit-fallthrough -Wundef -Wvla -Wpointer-arith -Wwrite-strings -Werror

# SANITIZE=1 builds the same sources with AddressSanitizer and UBSan into build/san.
# FAULTS=1 builds them with the crash points of lib/base/crash.h into build/faults, for the fault tests only.  Both: build/faults-san.
ifneq ($(FAULTS)$(SANITIZE),)
OUT = $(BUILD)/$(subst $() ,-,$(strip $(if $(FAULTS),faults) $(if $(SANITIZE),san)))
CFLAGS ?= -O1 -g
else
OUT = $(BUILD)
CFLAGS ?= -O2 -g
endif
EXTRA =
ifdef FAULTS
EXTRA += -DAIRLOCK_FAULTS
endif
ifdef SANITIZE
EXTRA += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
HARDEN_C := $(filter-out -D_FORTIFY_SOURCE=3,$(HARDEN_C))
endif

RDKAFKA_CFLAGS = -I$(DEPS)/librdkafka/include
RDKAFKA_LIBS = $(DEPS)/librdkafka/lib/librdkafka.a -lsasl2 -lssl -lcrypto -lz -lzstd -llz4 -lcurl -lm -ldl -lpthread -lrt
ifneq ($(shell pkg-config --exists 'rdkafka >= 2.12' 2>/dev/null && echo yes),)
RDKAFKA_CFLAGS = $(shell pkg-config --cflags rdkafka)
RDKAFKA_LIBS = $(shell pkg-config --libs rdkafka)
endif

# yyjson becomes part of libbase.a, as hardened or sanitized as the rest, unless the system has one.
YYJSON_OBJ = $(OUT)/obj/yyjson.o
YYJSON_CFLAGS = -isystem $(DEPS)/yyjson -DYYJSON_DISABLE_NON_STANDARD=1 -DYYJSON_DISABLE_WRITER=1 -DYYJSON_DISABLE_UTILS=1
YYJSON_LIBS =
ifneq ($(shell pkg-config --exists 'yyjson >= 0.10' 2>/dev/null && echo yes),)
YYJSON_OBJ =
YYJSON_CFLAGS = $(shell pkg-config --cflags yyjson)
YYJSON_LIBS = $(shell pkg-config --libs yyjson)
endif

CPPFLAGS = -D_GNU_SOURCE -DAIRLOCK_VERSION='"$(VERSION)"' -Ilib -I. $(RDKAFKA_CFLAGS) $(YYJSON_CFLAGS) -I/usr/include/postgresql -I/usr/include/hs
ALL_CFLAGS = -std=c17 -pthread $(CFLAGS) $(WARN) $(HARDEN_C) $(EXTRA)
ALL_LDFLAGS = -pthread $(HARDEN_LD) $(EXTRA) $(LDFLAGS)

# ---- layers: a static archive each; a program links only what its room may touch -------------------------------------
objects = $(patsubst %.c,$(OUT)/obj/%.o,$(1))
BASE_SRC = $(wildcard lib/base/*.c)
MODEL_SRC = $(wildcard lib/model/*.c)
IO_SRC = $(wildcard lib/io/*.c)
STAGE_SRC = $(wildcard lib/stage/*.c)
LIB_BASE = $(OUT)/libbase.a
LIB_MODEL = $(OUT)/libmodel.a
LIB_IO = $(OUT)/libio.a
LIB_STAGE = $(OUT)/libstage.a
LIBS_ALL = $(LIB_STAGE) $(LIB_IO) $(LIB_MODEL) $(LIB_BASE)

BASE_LIBS = $(YYJSON_LIBS) -ljansson -lseccomp -lcap -lcrypto -lm
IO_LIBS = $(RDKAFKA_LIBS) -lcurl -lpq -lmicrohttpd
JAIL_LIBS = $(BASE_LIBS)
MODERATE_LIBS = -lhs -licuuc -licui18n -licudata

# ---- programs --------------------------------------------------------------------------------------------------------
PROGRAMS = airlock airlock-gateway airlock-moderate airlock-infer airlock-sandbox airlock-jail airlock-record \
	airlock-monitor airlock-run airlock-model-replay
SRC_airlock = $(wildcard producers/cli/*.c)
SRC_airlock-gateway = $(wildcard producers/gateway/*.c)
SRC_airlock-moderate = $(wildcard workers/moderate/*.c)
SRC_airlock-infer = $(wildcard workers/infer/*.c)
SRC_airlock-sandbox = $(filter-out workers/sandbox/jail_% workers/sandbox/run_main.c,$(wildcard workers/sandbox/*.c))
SRC_airlock-run = $(filter-out workers/sandbox/jail_% workers/sandbox/main.c,$(wildcard workers/sandbox/*.c))
SRC_airlock-jail = $(wildcard workers/sandbox/jail_*.c)
SRC_airlock-record = $(wildcard workers/record/*.c)
SRC_airlock-monitor = $(wildcard workers/monitor/*.c)
SRC_airlock-model-replay = $(wildcard producers/examples/replay/*.c)
BIN = $(addprefix $(OUT)/bin/,$(PROGRAMS))

UNIT_SRC = $(wildcard tests/unit/*/*.c tests/unit/*/*/*.c)
LOOP_SRC = $(wildcard tests/loop/test_*.c)
UNIT_BIN = $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(UNIT_SRC))
LOOP_BIN = $(patsubst tests/loop/%.c,$(OUT)/loop/%,$(LOOP_SRC))

.PHONY: all build help clean check check-san check-unit check-loop check-tree
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) scripts/*.mk 2>/dev/null | sed 's/:.*##/\t/' | expand -t 18

build: $(BIN) ## build every program into build/bin (needs what `make setup` installs)
all: build

$(OUT)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "cc $<"
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(OUT)/obj/yyjson.o: $(DEPS)/yyjson/yyjson.c
	@mkdir -p $(@D)
	@echo "cc yyjson.c"
	@$(CC) $(YYJSON_CFLAGS) -std=c17 $(CFLAGS) $(HARDEN_C) $(EXTRA) -c $< -o $@

# Names of all programs' settings: what `make example` wrote, so that no list is kept by hand.
$(OUT)/made/stage/settings_known.inc: deploy/airlock.conf.example
	@mkdir -p $(@D)
	@sed -n 's/^#\([a-z][a-z0-9_.-]*\) *=.*/\1/; T; s/\.\.\.\.$$/.*/; s/.*/"&",/p' $< >$@
$(OUT)/obj/lib/stage/settings.o: $(OUT)/made/stage/settings_known.inc
$(OUT)/obj/lib/stage/settings.o: CPPFLAGS += -I$(OUT)/made

$(LIB_BASE): $(call objects,$(BASE_SRC)) $(YYJSON_OBJ)
$(LIB_MODEL): $(call objects,$(MODEL_SRC))
$(LIB_IO): $(call objects,$(IO_SRC))
$(LIB_STAGE): $(call objects,$(STAGE_SRC))
$(LIB_BASE) $(LIB_MODEL) $(LIB_IO) $(LIB_STAGE):
	@mkdir -p $(@D)
	@rm -f $@
	@ar rcs $@ $^

# program(name, archives, libraries)
define program
$(OUT)/bin/$(1): $$(call objects,$$(SRC_$(1))) $(2)
	@mkdir -p $$(@D)
	@echo "ld $(1)"
	@$$(CC) $$(ALL_LDFLAGS) -o $$@ $$(call objects,$$(SRC_$(1))) $(2) $(3)
endef
$(eval $(call program,airlock,$(LIBS_ALL),$(IO_LIBS) $(BASE_LIBS)))
$(eval $(call program,airlock-gateway,$(LIBS_ALL),$(IO_LIBS) $(BASE_LIBS)))
$(eval $(call program,airlock-moderate,$(LIBS_ALL),$(IO_LIBS) $(BASE_LIBS) $(MODERATE_LIBS)))
$(eval $(call program,airlock-infer,$(LIBS_ALL),$(IO_LIBS) $(BASE_LIBS)))
$(eval $(call program,airlock-sandbox,$(LIBS_ALL),$(IO_LIBS) $(BASE_LIBS)))
$(eval $(call program,airlock-run,$(LIBS_ALL),$(IO_LIBS) $(BASE_LIBS)))
$(eval $(call program,airlock-jail,$(LIB_BASE),$(JAIL_LIBS)))
$(eval $(call program,airlock-record,$(LIBS_ALL),$(IO_LIBS) $(BASE_LIBS)))
$(eval $(call program,airlock-monitor,$(LIBS_ALL),$(IO_LIBS) $(BASE_LIBS)))
$(eval $(call program,airlock-model-replay,$(LIBS_ALL),$(IO_LIBS) $(BASE_LIBS)))

# ---- tests that need no server ---------------------------------------------------------------------------------------
# A unit test may name more sources in a line "/* links: workers/infer/prompt.c tests/fake/fake_http.c */".
test_links = $(call objects,$(shell sed -n 's,^/\* links: \(.*\) \*/$$,\1,p' $(1)))
define unit_test
$(2): $(1) $(call test_links,$(1)) $(LIBS_ALL)
	@mkdir -p $$(@D)
	@echo "cc $(1)"
	@$$(CC) $$(CPPFLAGS) -Itests $$(ALL_CFLAGS) -Wno-missing-prototypes -MMD -MP -MF $$@.d -o $$@ $$< $(call test_links,$(1)) \
		$$(ALL_LDFLAGS) $(LIBS_ALL) $$(IO_LIBS) $$(MODERATE_LIBS) $$(BASE_LIBS) -lcmocka
endef
$(foreach s,$(UNIT_SRC),$(eval $(call unit_test,$(s),$(patsubst tests/unit/%.c,$(OUT)/unit/%,$(s)))))
$(foreach s,$(LOOP_SRC),$(eval $(call unit_test,$(s),$(patsubst tests/loop/%.c,$(OUT)/loop/%,$(s)))))

check-unit: $(UNIT_BIN) ## unit tests (one binary a test file, mirrors the tree)
	@scripts/run-tests -j $(shell nproc) $(UNIT_BIN)

check-loop: $(LOOP_BIN) ## lib/stage on librdkafka's in-process mock cluster
	@scripts/run-tests -j $(words $(LOOP_BIN)) $(LOOP_BIN)

check-tree: build ## the tree tests itself: layers, foreign prefixes, settings, flow, schemas
	@scripts/run-tests $(wildcard tests/tree/*.sh)

check: check-unit check-loop check-tree ## all tests that need no network and no server

check-san: ## unit and loop tests under AddressSanitizer and UBSan
	@LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0 $(MAKE) --no-print-directory SANITIZE=1 check-unit check-loop

clean: ## remove what was built (not what was fetched, not run/)
	rm -rf $(BUILD)

-include $(wildcard scripts/*.mk)
-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
