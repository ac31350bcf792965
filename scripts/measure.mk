# What the policy's local layers decide on labelled texts.  The texts are not part of this repository: MEASURE_DATA is a folder with
# moderation/*.jsonl, one JSON object a line with text, malicious and source.
.PHONY: measure-policy
MEASURE_DATA ?= ../shared/data
MEASURE_POLICY ?= policies/default.json
MEASURE_SRC = tests/measure/measure_policy.c $(filter-out %/main.c,$(wildcard workers/moderate/*.c))
MEASURE_FILES = screen:$(MEASURE_DATA)/moderation/dev-input.jsonl inspect:$(MEASURE_DATA)/moderation/dev-code.jsonl \
	review:$(MEASURE_DATA)/moderation/dev-code.jsonl

$(OUT)/measure/measure_policy: $(call objects,$(MEASURE_SRC)) $(LIBS_ALL)
	@mkdir -p $(@D)
	@echo "ld measure_policy"
	@$(CC) $(ALL_LDFLAGS) -o $@ $(call objects,$(MEASURE_SRC)) $(LIBS_ALL) $(IO_LIBS) $(MODERATE_LIBS) $(BASE_LIBS)

measure-policy: $(OUT)/measure/measure_policy ## refusals by source of labelled texts: MEASURE_DATA=folder MEASURE_POLICY=file
	@for pair in $(MEASURE_FILES); do \
		file=$${pair#*:}; \
		if [ ! -r "$$file" ]; then echo "$$file is not there: nothing is measured; set MEASURE_DATA"; continue; fi; \
		printf '\n### %s, %s\n\n' "$${pair%%:*}" "$$(basename "$$file")"; \
		$< $(MEASURE_POLICY) "$${pair%%:*}" "$$file" || exit 1; \
	done
