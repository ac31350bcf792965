# Whatever reads foreign bytes: the kept corpus and its mutations in make test, libFuzzer as long as one likes.

FUZZ_SRC = tests/fuzz/fuzz.c workers/infer/reply.c
$(OUT)/fuzz/fuzz: $(call objects,$(FUZZ_SRC)) $(LIB_MODEL) $(LIB_BASE)
	@mkdir -p $(@D)
	@echo "ld $@"
	@$(CC) $(ALL_LDFLAGS) -o $@ $(call objects,$(FUZZ_SRC)) $(LIB_MODEL) $(LIB_BASE) $(BASE_LIBS)

# Without UBSan (make check-san has it): clang takes minutes and a gigabyte for that.
FUZZ_YYJSON = $(if $(YYJSON_OBJ),$(BUILD)/fuzz/yyjson.o)
$(BUILD)/fuzz/yyjson.o: $(DEPS)/yyjson/yyjson.c
	@mkdir -p $(@D)
	@clang -std=c17 -g -O1 -fsanitize=fuzzer-no-link,address $(YYJSON_CFLAGS) -c $< -o $@

.PHONY: check-fuzz fuzz
check-fuzz: $(OUT)/fuzz/fuzz ## the kept corpus through every reader of foreign bytes, each file also mutated
	@FUZZ=$(OUT)/fuzz/fuzz ROUNDS=$(or $(ROUNDS),200) scripts/run-tests tests/fuzz/replay.sh

fuzz: $(FUZZ_YYJSON) ## libFuzzer (clang) on one reader: make fuzz TARGET=reply SECONDS=600
	@mkdir -p $(BUILD)/fuzz/$(TARGET)
	@clang -std=c17 -g -O1 -fsanitize=fuzzer,address,undefined -DAIRLOCK_LIBFUZZER $(CPPFLAGS) -o $(BUILD)/fuzz/libfuzzer $(FUZZ_SRC) $(MODEL_SRC) $(BASE_SRC) $(FUZZ_YYJSON) $(BASE_LIBS)
	@AIRLOCK_FUZZ=$(TARGET) $(BUILD)/fuzz/libfuzzer -max_total_time=$(or $(SECONDS),60) $(BUILD)/fuzz/$(TARGET) $(wildcard tests/fuzz/corpus/$(TARGET))
