# Benchmarks: `make bench` measures a whole pipeline of its own and the floors under it; see tests/bench/run.

BENCH_SRC = $(wildcard tests/bench/*.c)
BENCH_BIN = $(patsubst tests/bench/%.c,$(OUT)/bench/%,$(BENCH_SRC))

$(OUT)/bench/%: tests/bench/%.c $(LIBS_ALL)
	@mkdir -p $(@D)
	@echo "cc $<"
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(ALL_LDFLAGS) $(LIBS_ALL) $(IO_LIBS) $(BASE_LIBS)

.PHONY: bench
bench: build $(BENCH_BIN) $(OUT)/escape/samples $(OUT)/escape/soak ## speed of the pipeline and its parts beside their floors; writes build/bench.json (BENCH="NAME..." for some)
	@tests/bench/run $(BENCH)
