#!/bin/bash
# Three times the short form, each crash point of a step in every step.
. "$(dirname "$0")/lib.sh"
for turn in 1 2 3; do
	holds "every promise, turn $turn" drive --requests 3000 --kills 60 --rate 40 --points --every --freezes 18
done
finish
