#!/usr/bin/env bash
# Integers and floats of 8 and 4 bits for weights and inputs, as Markdown tables like those of ZeroQuant-FP (arXiv 2307.09782), with its
# constraints on the scales of groups (M1: powers of two; M2: powers of two times one for the tensor), GPTQ and LoRC.
#   zeroquant.sh [WINDOWS]     windows of 512 tokens of each text (default 10)
#   QCONVERT, MODELS select what is measured.
# A cell has the perplexity and the KL divergence from the original, each on wikitext2-valid / prose-valid.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
qconvert=${QCONVERT:-$root/.build/release/qconvert}
shared=$root/../shared
windows=${1:-10}
[ -d "$shared/models" ] || { echo "zeroquant: needs ../shared, which is missing" >&2; exit 66; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number() { sed -n "s/.*\"$1\" *: *\([-+0-9.eE]*\).*/\1/p"; }

# cell FOLDER INPUTS: both figures on both texts.
cell() {
  local corrected=() perplexities='' divergences='' separator=''
  if [ -e "$1/adapter" ]; then corrected=(--lora "$1/adapter"); fi
  for text in wikitext2-valid prose-valid; do
    "$qconvert" eval "$1" "${corrected[@]}" --reference "$shared/models/$model" --text "$shared/text/$text.txt" --context 512 \
      --windows "$windows" --simulate "$2" --json --quiet >"$work/figures.json"
    perplexities+="$separator$(printf '%.2f' "$(number perplexity <"$work/figures.json")")"
    divergences+="$separator$(printf '%.4f' "$(number kld.mean <"$work/figures.json")")"
    separator=' / '
  done
  printf ' %s, %s |' "$perplexities" "$divergences"
}

# folder SCHEME METHODS: converts once; what no packing holds is stored as its values.
folder() {
  local out=$work/$1-$2
  if [ ! -e "$out" ]; then
    # shellcheck disable=SC2046 # one --plugin for each word
    "$qconvert" "$shared/models/$model" "$out" --scheme "$1" --activations none --packing values \
      $(printf -- '--plugin %s ' ${2//+/ }) --calibration "$shared/text/calibration.txt" --samples 128 --context 256 --quiet
  fi
  echo "$out"
}

# row TITLE SCALES SCHEME INPUTS METHODS…
row() {
  printf '| %s | %s |' "$1" "$2"
  for method in "${@:5}"; do cell "$(folder "$3" "$method")" "$4"; done
  echo
}

for model in ${MODELS:-tiny-opt tiny-llama tiny-llama-outlier}; do
  echo "$model"
  echo
  echo '| weights–inputs | scales | rtn | gptq | gptq, lorc |'
  echo '|---|---|---|---|---|'
  row 'W8A8 INT–INT' any int8-g128 int8-token rtn
  row 'W8A8 INT–FP' any int8-g128 fp8-token rtn
  row 'W8A8 FP–FP' any fp8-g128 fp8-token rtn
  row 'W8A8 FP–FP' M1 fp8-g128-e8m0 fp8-token rtn
  row 'W8A8 FP–FP' M2 fp8-g128-ratio fp8-token rtn
  row 'W4A8 INT–INT' any int4-g128 int8-token rtn gptq gptq+lorc
  row 'W4A8 INT–FP' any int4-g128 fp8-token rtn gptq gptq+lorc
  row 'W4A8 FP–FP, E2M1' any e2m1-g128 fp8-token rtn gptq gptq+lorc
  row 'W4A8 FP–FP, E2M1' M1 e2m1-g128-e8m0 fp8-token rtn gptq gptq+lorc
  row 'W4A8 FP–FP, E2M1' M2 e2m1-g128-ratio fp8-token rtn gptq gptq+lorc
  row 'W4A8 FP–FP, E3M0' any e3m0-g128 fp8-token rtn gptq
  row 'W4A8 FP–FP, E3M0' M1 e3m0-g128-e8m0 fp8-token rtn gptq
  row 'W4A8 FP–FP, E3M0' M2 e3m0-g128-ratio fp8-token rtn gptq
  echo
  rm -rf "$work"/*
done
