#!/usr/bin/env bash
# Follows Docs/write-a-plugin.md and Docs/plugins: builds, tests and uses the packages in Examples, one for each kind of plug-in, and
# a package that 'qconvert plugin new' has just written. They share a build folder, so that qconvert is built once.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/qconvert-plugin-package-XXXXXX")
trap 'rm -rf "$work"' EXIT
model=$root/Tests/Fixtures/models/tiny-llama
text=$root/Tests/Fixtures/text/evaluation.txt
check() {
  if "${@:2}"; then echo "ok   $1"; else echo "FAIL $1" && exit 1; fi
}

# The pages must show the code that is built.
shown() { python3 - "$root/Docs/$1" "$root/Examples/$2" <<'PYTHON'
import re, sys
blocks = re.findall(r"^```swift\n(.*?)^```$", open(sys.argv[1]).read(), re.MULTILINE | re.DOTALL)
sys.exit(open(sys.argv[2]).read() not in blocks)
PYTHON
}
for shown in write-a-plugin.md:shrink/{Package.swift,Sources/qconvert-shrink/main.swift} \
  plugins/method.md:shrink/Sources/ShrinkPlugin/ShrinkMethod.swift plugins/scheme.md:searched/Sources/SearchedPlugin/SearchedScheme.swift \
  plugins/packing.md:nibbles/Sources/NibblesPlugin/NibblesPacking.swift plugins/format.md:shelf/Sources/ShelfPlugin/ShelfFormat.swift \
  plugins/family.md:heron/Sources/HeronPlugin/HeronFamily.swift; do
  check "Docs/${shown%%:*} shows ${shown#*:} as it is" shown "${shown%%:*}" "${shown#*:}"
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

built "$root/Examples/nibbles"
check "the packing is listed" listed 'packing *nibbles'
check "it converts" "$program" -q "$model" "$work/nibbles" --scheme int4-g64 --packing nibbles
check "the result is read again" "$program" -q validate "$work/nibbles"
check "the result computes" "$program" -q eval "$work/nibbles" --text "$text" --windows 1
check "its codes are packed for other clients" "$program" -q "$work/nibbles" "$work/packed" --packing pack-quantized
same() { "$program" -q compare "$work/$1" "$work/$2" >/dev/null; }
check "no weight is rounded again" same nibbles packed

built "$root/Examples/shelf"
mkdir "$work/shelf" && cp "$model"/tokenizer* "$work/shelf"
check "the format is listed" listed 'format *shelf'
check "it converts" "$program" -q "$model" "$work/shelf/model.shelf" --scheme keep
same_model() { "$program" -q compare "$model" "$work/$1" >/dev/null; }
check "the result holds the model" same_model shelf/model.shelf
check "the result computes" "$program" -q eval "$work/shelf/model.shelf" --text "$text" --windows 1
check "the result converts" "$program" -q "$work/shelf/model.shelf" "$work/from-shelf.gguf" --scheme q4_0
check "its weights are those of the folder" same from-shelf.gguf plain.gguf

built "$root/Examples/heron"
cp -r "$model" "$work/heron"
sed -i 's/"LlamaForCausalLM"/"HeronForCausalLM"/; s/"model_type": *"llama"/"model_type": "heron"/' "$work/heron/config.json"
check "the family is listed" listed 'family *heron'
check "it converts to GGUF" "$program" -q "$work/heron" "$work/heron.gguf" --scheme bf16
check "it converts back to a folder" "$program" -q "$work/heron.gguf" "$work/heron-back" --scheme keep
perplexity() { "$program" -q eval "$work/$1" --text "$text" --windows 1 --json | grep '"perplexity"'; }
alike() { [ -n "$(perplexity heron)" ] && for other in heron.gguf heron-back; do [ "$(perplexity heron)" = "$(perplexity $other)" ] || return 1; done; }
check "all three compute the same" alike
heron_gptq() { "$program" -q "$work/heron" "$work/heron-gptq" --scheme int4-g64 --plugin gptq --samples 4 --context 64; }
check "methods calibrate it" heron_gptq

built "$work/clip-mine"
check "the written package converts" "$program" -q "$model" "$work/clipped" --scheme int4-g64 --plugin clip-mine:to=0.7
check "the written package rounds" differs clipped
