#!/usr/bin/env bash
# The quality that each method loses on the small trained models, as a Markdown table: the figures of Docs/results.md.
#   quality.sh [WINDOWS]     windows of 512 tokens of WikiText-2's validation text (default 60)
#   QCONVERT, SCHEMES, METHODS, MODELS, TEXT select what is measured; a method such as awq+gptq is a chain, and a scheme such as
#   int4-channel+int8-token says how inputs are rounded. They are if the written folder says so (w8a8, fp8), and an output is evaluated with
#   the adapter that corrects it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
qconvert=${QCONVERT:-$root/.build/release/qconvert}
shared=$root/../shared
windows=${1:-60}
[ -d "$shared/models" ] || { echo "quality: needs ../shared, which is missing" >&2; exit 66; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# number KEY: the value of a key in the flat JSON document on standard input.
number() { sed -n "s/.*\"$1\" *: *\([-+0-9.eE]*\).*/\1/p"; }

echo '| model | scheme | method | perplexity | KL | top-1 |'
echo '|---|---|---|---:|---:|---:|'
for model in ${MODELS:-tiny-llama tiny-llama-outlier}; do
  for scheme in ${SCHEMES:-q4_0 q4_k_m w4a16 int4-g128-asym}; do
    for method in ${METHODS:-rtn awq gptq}; do
      case $scheme in q*) out=$work/out.gguf adapter=$work/out.lora.gguf ;; *) out=$work/out adapter=$work/out/adapter ;; esac
      case $scheme in *+*) inputs=(--activations "${scheme#*+}") ;; *) inputs=() ;; esac
      case $scheme in *+* | w?a8* | fp8 | fp8-static | fp8-block) rounding=(--simulate file) ;; *) rounding=() ;; esac
      rm -rf "$out" "$adapter"
      # shellcheck disable=SC2086 # one --plugin for each word
      "$qconvert" "$shared/models/$model" "$out" --scheme "${scheme%+*}" "${inputs[@]}" $(printf -- '--plugin %s ' ${method//+/ }) \
        --calibration "$shared/text/calibration.txt" --samples 128 --context 256 --force --quiet
      if [ -e "$adapter" ]; then corrected=(--lora "$adapter"); else corrected=(); fi
      "$qconvert" eval "$out" "${corrected[@]}" --reference "$shared/models/$model" --text "$shared/text/${TEXT:-wikitext2-valid}.txt" --context 512 \
        --windows "$windows" "${rounding[@]}" --json --quiet >"$work/figures.json"
      printf '| %s | `%s` | %s | %.3f | %.5f | %.4f |\n' "$model" "$scheme" "$method" "$(number perplexity <"$work/figures.json")" \
        "$(number kld.mean <"$work/figures.json")" "$(number top1 <"$work/figures.json")"
    done
  done
done
