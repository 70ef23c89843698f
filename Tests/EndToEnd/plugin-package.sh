#!/usr/bin/env bash
# Docs/write-a-plugin.md, done: builds the package in Examples/ShrinkMethod, which adds a method from outside, and uses it.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/qconvert-plugin-package-XXXXXX")
trap 'rm -rf "$work"' EXIT
check() {
  if "${@:2}"; then echo "ok   $1"; else echo "FAIL $1" && exit 1; fi
}

package=$root/Examples/ShrinkMethod
# What the page shows must be what is built.
shown() { python3 - "$root/Docs/write-a-plugin.md" "$package/Sources/qconvert-shrink/$1" <<'PYTHON'
import re, sys
blocks = re.findall(r"^```swift\n(.*?)^```$", open(sys.argv[1]).read(), re.MULTILINE | re.DOTALL)
sys.exit(open(sys.argv[2]).read() not in blocks)
PYTHON
}
check "the page shows Shrink.swift as it is" shown Shrink.swift
check "the page shows main.swift as it is" shown main.swift

swift build --package-path "$package" --scratch-path "$root/.build-example"
program=$(swift build --package-path "$package" --scratch-path "$root/.build-example" --show-bin-path)/qconvert-shrink
model=$root/Tests/Fixtures/models/tiny-llama
listed() { "$program" plugins | grep -q '^method *shrink '; }
check "the method is listed" listed
check "it converts" "$program" -q "$model" "$work/shrunk" --scheme int4-g64 --plugin shrink:to=0.7
check "rounding alone converts" "$program" -q "$model" "$work/plain" --scheme int4-g64
differs() { ! cmp -s "$work/shrunk/model.safetensors" "$work/plain/model.safetensors"; }
check "its codes are others" differs
check "the result can be read" "$program" -q eval "$work/shrunk" --text "$root/Tests/Fixtures/text/evaluation.txt" --windows 1
refused() { "$program" -q "$model" "$work/x" --plugin shrink:to=7 2>/dev/null; [ $? -eq 64 ]; }
check "its options are checked" refused
