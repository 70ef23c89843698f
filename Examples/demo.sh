#!/usr/bin/env bash
# Quantizes the trained model in Tests/Fixtures to Q4_K_M in three ways, compares each with the original, and continues a prompt
# with the best one. All output goes to demo-output/.
#   QCONVERT   the program (default: the release build)
set -euo pipefail
cd "$(dirname "$0")/.."
qconvert=${QCONVERT:-.build/release/qconvert}
model=Tests/Fixtures/models/tiny-llama
text=Tests/Fixtures/text/evaluation.txt
windows=${WINDOWS:-16}
out=demo-output
mkdir -p "$out"

# number KEY: a number from the flat JSON object on standard input.
number() { sed -n "s/.*\"$1\" *: *\([-+0-9.eE]*\).*/\1/p"; }

# row NAME PATH: one line of the table; figures are measured against the original model.
row() {
  local bytes parameters=8392960 figures
  if [ -d "$2" ]; then bytes=$(cat "$2"/*.safetensors | wc -c); else bytes=$(wc -c <"$2"); fi
  figures=$("$qconvert" eval "$2" --reference "$model" --text "$text" --context 512 --windows "$windows" --json --progress none)
  awk -v name="$1" -v bytes="$bytes" -v parameters="$parameters" -v perplexity="$(number perplexity <<<"$figures")" \
    -v divergence="$(number kld.mean <<<"$figures")" -v top="$(number top1 <<<"$figures")" 'BEGIN {
      printf "%-22s %8.2f MB %8.2f %12.3f %14.5f %10.2f %%\n", name, bytes / 1e6, bytes * 8 / parameters, perplexity, divergence, top * 100
    }'
}

echo "Quantizing $model (8.4 million parameters, BF16) to Q4_K_M"
for plugin in rtn awq gptq; do
  target=$out/tiny-llama.Q4_K_M.$plugin.gguf
  echo "  qconvert $model $target --plugin $plugin"
  "$qconvert" "$model" "$target" --scheme q4_k_m --plugin "$plugin" --force >"$out/$plugin.log" 2>&1 || {
    cat "$out/$plugin.log" >&2
    exit 1
  }
done

echo
echo "Compared with the original, on $windows windows of 512 tokens of prose that neither training nor calibration saw:"
echo
printf '%-22s %11s %8s %12s %14s %12s\n' model size bits/w perplexity "KL divergence" "same top-1"
row "original, BF16" "$model"
row "Q4_K_M, rounded" "$out/tiny-llama.Q4_K_M.rtn.gguf"
row "Q4_K_M, AWQ" "$out/tiny-llama.Q4_K_M.awq.gguf"
row "Q4_K_M, GPTQ" "$out/tiny-llama.Q4_K_M.gptq.gguf"

echo
prompt=${PROMPT:-"The old man looked at the sea and"}
echo "The GPTQ file continues a prompt (greedily):"
echo
printf '%s' "$prompt"
"$qconvert" generate "$out/tiny-llama.Q4_K_M.gptq.gguf" --prompt "$prompt" --tokens 48
echo
