# Tests of lib/io/db and of the recorder on a private PostgreSQL cluster.

DB_SRC = $(wildcard tests/db/test_*.c)
DB_BIN = $(patsubst tests/db/%.c,$(OUT)/db/%,$(DB_SRC))
$(foreach s,$(DB_SRC),$(eval $(call unit_test,$(s),$(patsubst tests/db/%.c,$(OUT)/db/%,$(s)))))

.PHONY: check-db
check-db: $(DB_BIN) ## the recorder and lib/io/db on a private PostgreSQL cluster
	@tests/db/run $(DB_BIN)
