#!/bin/sh
# Every schema is a valid JSON Schema 2020-12, and says of every example what its name says: ok-* fit, bad-* do not.
# tests/unit/model/test_examples.c asks the readers in C about the same files, so schemas and readers agree.
set -eu
cd "$(dirname "$0")/../.."

python3 -c 'import jsonschema' 2>/dev/null || {
	echo "python3-jsonschema is missing: apt-get install python3-jsonschema" >&2
	exit 1
}
exec python3 - <<'PY'
import json, pathlib, sys
from jsonschema import Draft202012Validator

passed = failed = 0
kinds = {p.stem for p in pathlib.Path("schemas").glob("*.json")}
folders = {p.name for p in pathlib.Path("schemas/examples").iterdir()}
for kind in sorted(kinds ^ folders):
    print(f"schemas: {kind}: a schema without examples, or examples without a schema")
    failed += 1
for kind in sorted(kinds & folders):
    schema = json.loads(pathlib.Path(f"schemas/{kind}.json").read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    seen = set()
    for path in sorted(pathlib.Path(f"schemas/examples/{kind}").glob("*.json")):
        word = path.name.split("-")[0].split(".")[0]
        seen.add(word)
        errors = [e.message for e in validator.iter_errors(json.loads(path.read_text()))]
        if word not in ("ok", "bad"):
            print(f"{path}: neither ok nor bad")
        elif word == "ok" and errors:
            print(f"{path}: {errors[0]}")
        elif word == "bad" and not errors:
            print(f"{path}: fits the schema")
        else:
            passed += 1
            continue
        failed += 1
    if seen != {"ok", "bad"}:
        print(f"schemas/examples/{kind}: good and bad examples expected")
        failed += 1
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
PY
