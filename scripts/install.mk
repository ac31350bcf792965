# Manual pages, and where everything goes on a machine: make install PREFIX=/usr DESTDIR=...
PREFIX ?= /usr/local
DESTDIR ?=
TO = $(DESTDIR)$(PREFIX)
# The replayed model belongs to demo and tests.
INSTALLED = $(filter-out airlock-model-replay,$(PROGRAMS))

.PHONY: man install
man: build ## write the manual pages that come from the programs' tables
	@scripts/man man

example: man # a new setting belongs into both

install: build ## programs, manual pages, policies, runtimes, migrations, units, completion: PREFIX=/usr/local, DESTDIR=
	install -d $(TO)/bin $(TO)/share/man/man1 $(TO)/share/man/man5 $(TO)/share/man/man8 $(TO)/share/airlock/policies \
		$(TO)/share/airlock/migrations $(TO)/share/airlock/workers/sandbox/runtimes $(TO)/share/doc/airlock \
		$(TO)/share/bash-completion/completions $(TO)/lib/systemd/system
	install -m 0755 $(addprefix $(OUT)/bin/,$(INSTALLED)) $(INSIDE) $(TO)/bin
	install -d $(TO)/lib/airlock
	install -m 0755 $(ZYGOTE) $(INIT) $(TO)/lib/airlock
	install -m 0644 man/*.1 $(TO)/share/man/man1
	install -m 0644 man/*.5 $(TO)/share/man/man5
	install -m 0644 man/*.8 $(TO)/share/man/man8
	install -m 0644 $(wildcard policies/*) $(TO)/share/airlock/policies
	install -m 0644 migrations/*.sql $(TO)/share/airlock/migrations
	install -m 0644 $(wildcard workers/sandbox/runtimes/*.*) $(TO)/share/airlock/workers/sandbox/runtimes
	install -m 0644 README.md SECURITY.md CHANGELOG.md LICENSE deploy/airlock.conf.example $(TO)/share/doc/airlock
	$(OUT)/bin/airlock completion bash >$(TO)/share/bash-completion/completions/airlock
	for unit in deploy/units/*.service; do sed 's,/usr/\(bin\|share\)/,$(PREFIX)/\1/,g' $$unit >$(TO)/lib/systemd/system/$${unit##*/}; done
