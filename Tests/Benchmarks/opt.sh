#!/usr/bin/env bash
# The quality that an OPT loses with 8 and 4 bits, as a Markdown table like those of ZeroQuant-V2 (arXiv 2303.08302): the rise in
# perplexity, as the mean over two texts, and the paper's class of sensitivity for it: 1 up to 0.1, 2 up to 0.5, else 3.
#   opt.sh [WINDOWS]     windows of 512 tokens of each text (default 60)
#   QCONVERT, MODEL select what is measured.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
qconvert=${QCONVERT:-$root/.build/release/qconvert}
shared=$root/../shared
model=${MODEL:-$shared/models/tiny-opt}
windows=${1:-60}
[ -d "$shared/models" ] || { echo "opt: needs ../shared, which is missing" >&2; exit 66; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# perplexity FOLDER [OPTION…]: the mean over both texts.
perplexity() {
  for text in wikitext2-valid prose-valid; do
    "$qconvert" eval "$1" --text "$shared/text/$text.txt" --context 512 --windows "$windows" --json --quiet "${@:2}"
  done | awk -F '[:,]' '/"perplexity"/ { sum += $2; count++ } END { printf "%.4f", sum / count }'
}

# cell FOLDER [OPTION…]: the rise and its class.
cell() { awk -v p="$(perplexity "$@")" -v p0="$original" 'BEGIN { d = p - p0; printf "%+.3f (%d)", d, d <= 0.1 ? 1 : d <= 0.5 ? 2 : 3 }'; }

# folder SCHEME METHOD: converts and prints the folder.
folder() {
  "$qconvert" "$model" "$work/$1-$2" --scheme "$1" --plugin "$2" --activations none --calibration "$shared/text/calibration.txt" \
    --samples 128 --context 256 --quiet
  echo "$work/$1-$2"
}

# row TITLE EIGHT-BITS FOUR-BITS: both with exact and with rounded inputs; without a folder, cells stay empty.
row() {
  printf '| %s' "$1"
  for folder in "$2" "$3"; do
    if [ -n "$folder" ]; then printf ' | %s | %s' "$(cell "$folder")" "$(cell "$folder" --simulate int8-token)"; else printf ' | | '; fi
  done
  echo ' |'
}

original=$(perplexity "$model")
echo "Mean perplexity in 16 bits: $original; inputs rounded to 8 bits, W16A8: $(cell "$model" --simulate int8-token)"
echo
echo '| weights | W8A16 | W8A8 | W4A16 | W4A8 |'
echo '|---|---:|---:|---:|---:|'
for method in rtn gptq; do
  row "$method, a scale per row" "$(folder int8-channel $method)" "$(folder int4-channel $method)"
  row "$method, groups of 128" "$(folder int8-g128 $method)" "$(folder int4-g128 $method)"
done
for method in zeroquant gptq; do
  row "$method, attention in 8 bits, feed-forward in 4-bit groups of 128" '' "$(folder zeroquant-w4a16 $method)"
done
