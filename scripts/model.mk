# What is made from lib/model/flow.c.  tests/tree/flow.sh compares it, so it needs the printer built.
.PHONY: topics
topics: $(OUT)/unit/model/test_flow ## write deploy/topics.tsv from lib/model/flow.c
	$(OUT)/unit/model/test_flow --topics > deploy/topics.tsv

check-tree: $(OUT)/unit/model/test_flow
