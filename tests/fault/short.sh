#!/bin/bash
# The short form: every crash point once, kills at random, broker and database killed, consumers that join and leave; then the auditor.
here=$(cd "$(dirname "$0")" && pwd)
if "$here/driver" --binaries build/faults/bin --requests 2000 --kills 20 --points; then
	echo "1 passed, 0 failed"
else
	echo "0 passed, 1 failed"
	exit 1
fi
