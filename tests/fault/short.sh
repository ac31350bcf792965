#!/bin/bash
# The short form: every crash point once, kills at random, zombies, broker and database killed, consumers that join and leave; then the auditor.
. "$(dirname "$0")/lib.sh"
holds "every promise, under kills and at every crash point" drive --requests 2000 --kills 20 --rate 40 --points --freezes 4
finish
