#!/usr/bin/env bash
# Follows Docs/write-a-plugin.md: builds, tests and uses the packages in Examples, which add a custom method and a custom scheme,
# and a package that 'qconvert plugin new' has just written. They share a build folder, so that qconvert is built once.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/qconvert-plugin-package-XXXXXX")
trap 'rm -rf "$work"' EXIT
model=$root/Tests/Fixtures/models/tiny-llama
text=$root/Tests/Fixtures/text/evaluation.txt
check() {
  if "${@:2}"; then echo "ok   $1"; else echo "FAIL $1" && exit 1; fi
}

# The page must show the code that is built.
shown() { python3 - "$root/Docs/write-a-plugin.md" "$root/Examples/$1" <<'PYTHON'
import re, sys
blocks = re.findall(r"^```swift\n(.*?)^```$", open(sys.argv[1]).read(), re.MULTILINE | re.DOTALL)
sys.exit(open(sys.argv[2]).read() not in blocks)
PYTHON
}
for file in shrink/{Package.swift,Sources/ShrinkPlugin/ShrinkMethod.swift,Sources/qconvert-shrink/main.swift} \
  searched/Sources/SearchedPlugin/SearchedScheme.swift; do
  check "the page shows $file as it is" shown "$file"
done

# built PACKAGE: builds it with its tests, runs them, and sets $program.
built() {
  local arguments=(--package-path "$1" --scratch-path "$root/.build-example")
  swift build --build-tests "${arguments[@]}"
  check "the tests of $(basename "$1") pass" swift test --skip-build "${arguments[@]}"
  program=$(swift build "${arguments[@]}" --show-bin-path)/qconvert-$(basename "$1")
}

built "$root/Examples/shrink"
listed() { "$program" plugins | grep -q "^$1 "; }
check "the method is listed" listed 'method *shrink'
check "it converts" "$program" -q "$model" "$work/shrunk" --scheme int4-g64 --plugin shrink:to=0.7
check "rounding alone converts" "$program" -q "$model" "$work/plain" --scheme int4-g64
# Weights are compared, because the metadata names the method whether or not it changed anything.
differs() { "$program" -q compare "$work/${2-plain}" "$work/$1" >/dev/null 2>&1; [ $? -eq 11 ]; }
check "its weights differ" differs shrunk
check "it converts into a GGUF file" "$program" -q "$model" "$work/shrunk.gguf" --scheme q4_0 --plugin shrink:to=0.7
check "rounding alone converts into a GGUF file" "$program" -q "$model" "$work/plain.gguf" --scheme q4_0
check "its weights differ there, too" differs shrunk.gguf plain.gguf
check "the result can be read" "$program" -q eval "$work/shrunk" --text "$text" --windows 1
refused() { "$program" -q "$model" "$work/x" --plugin shrink:to=7 2>/dev/null; [ $? -eq 64 ]; }
check "its options are checked" refused

# The program that writes the package does not contain its plug-in yet.
cd "$work"
check "a package is written" "$program" plugin new clip-mine --qconvert "$root"
kept() { "$program" plugin new clip-mine --qconvert "$root" 2>/dev/null; [ $? -eq 73 ]; }
check "an existing folder is left alone" kept

built "$root/Examples/searched"
check "the scheme is listed" listed 'scheme *searched'
check "it converts" "$program" -q "$model" "$work/searched" --scheme searched-g64
check "its weights differ" differs searched
closer() {
  divergence() { "$program" -q eval "$work/$1" --reference "$model" --text "$text" --windows 2 --json | sed -n 's/.*"kld.mean": \(.*\),/\1/p'; }
  python3 -c "import sys; sys.exit(not $(divergence searched) < $(divergence plain))"
}
check "its error is smaller than that of the scheme with the same grid" closer
chained() { "$program" -q "$model" "$work/chained" --scheme searched-g64 --plugin gptq --samples 4 --context 64; }
check "built-in methods round to it" chained

built "$work/clip-mine"
check "the written package converts" "$program" -q "$model" "$work/clipped" --scheme int4-g64 --plugin clip-mine:to=0.7
check "the written package rounds" differs clipped
