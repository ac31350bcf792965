# lib.sh: for the scripts beside it, sourced by bash: the driver; the counting is that of tests/ops.
. "$(dirname "$0")/../ops/lib.sh"
trap 'rm -rf "$WORK"' EXIT
drive() { "$TOP/tests/fault/driver" --binaries "$TOP/build/faults/bin" "$@"; }
