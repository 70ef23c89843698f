# LoRA adapters: merged during a conversion, converted between formats, inspected.
model=$root/Tests/Fixtures/engine/llama3-rope
lora=$root/Tests/Fixtures/adapters/llama

fresh
accepted "an adapter is merged" merged "$model" "$out/merged" --scheme f32 --lora "$lora" --lora "$root/Tests/Fixtures/adapters/llama-second:0.5"
name="the model card names what was merged"
if grep -q 'qconvert.adapters | llama scale 1.0 xxh3-128 .*, llama-second scale 0.5 xxh3-128 ' "$out/merged/README.md"; then
  pass "$name"
else
  fail "$name" "$(grep adapters "$out/merged/README.md")"
fi
mv "$out/merged" "$work/typed"
tidy
printf 'scheme: f32\nadapters:\n  - %s\n  - %s: 0.5\n' "$lora" "$root/Tests/Fixtures/adapters/llama-second" >"$work/adapters.yaml"
accepted "a recipe merges adapters" merged --recipe "$work/adapters.yaml" "$model" "$out/merged"
name="both give the same weights"
if "$qconvert" compare "$work/typed" "$out/merged" --quiet >/dev/null; then pass "$name"; else fail "$name" "compare ended with $?"; fi
rm -rf "$work/typed"

fresh
accepted "an adapter becomes a GGUF" adapter.gguf "$lora" "$out/adapter.gguf" --base "$model"
mv "$out/adapter.gguf" "$work/adapter.gguf"
fresh
accepted "and a folder again" adapter "$work/adapter.gguf" "$out/adapter" --base "$model"
name="inspect says what an adapter changes"
attempt inspect "$work/adapter.gguf"
if [ "$code" -eq 0 ] && grep -q '^adapter .*LoRA of rank 4, alpha 8.0, 14 matrices changed' "$work/stdout"; then
  pass "$name"
else
  fail "$name" "ended with $code: $(grep ^adapter "$work/stdout")"
fi

fresh
refused "an adapter of another model" 65 "$root/Tests/Fixtures/engine/qwen3" "$out/merged" --scheme f32 --lora "$lora"
refused "a model where an adapter is expected" 64 "$model" "$out/merged" --scheme f32 --lora "$model"
refused "an adapter that does not exist" 66 "$model" "$out/merged" --scheme f32 --lora "$work/none"
refused "a GGUF adapter without its base model" 64 "$lora" "$out/adapter.gguf"
refused "a method on an adapter" 64 "$lora" "$out/adapter" --plugin awq
refused "a quantized scheme for an adapter" 69 "$work/adapter.gguf" "$out/adapter.gguf" --scheme q4_0
attempt eval "$lora" --text "$root/Tests/Fixtures/text/evaluation.txt"
name="an adapter is not evaluated"
if [ "$code" -eq 69 ] && grep -q 'LoRA adapter' "$work/err"; then pass "$name (69)"; else fail "$name" "ended with $code"; fi

# Corrections of what rounding lost: an adapter that is a part of the output.
model=$root/Tests/Fixtures/models/tiny-llama
text=$root/Tests/Fixtures/text/evaluation.txt
# divergence MODEL [OPTIONS]: the mean KL divergence from $model.
divergence() { "$qconvert" eval "$@" --reference "$model" --text "$text" --context 128 --windows 2 --json --quiet | sed -n 's/.*"kld.mean" *: *\([0-9.e-]*\).*/\1/p'; }
fresh
name="a correction comes with the file"
attempt "$model" "$out/m.gguf" --scheme q4_0 -p lorc:rank=32
written=$(ls -A "$out" | tr '\n' ' ')
if [ "$code $written" = "0 m.gguf m.gguf.qconvert.json m.lora.gguf " ]; then pass "$name"; else fail "$name" "ended with $code and wrote $written"; fi
mv "$out"/m.*gguf "$work"
name="the adapter brings the file nearer to the model"
plain=$(divergence "$work/m.gguf") corrected=$(divergence "$work/m.gguf" --lora "$work/m.lora.gguf")
if awk "BEGIN { exit !($corrected < 0.97 * $plain) }"; then pass "$name"; else fail "$name" "$corrected after $plain"; fi
rm -f "$work"/m.*gguf
fresh
accepted "a correction comes in the folder" m "$model" "$out/m" --scheme int4-channel -p lorc --eval-text "$text" --eval-windows 2 --eval-context 128
name="and is part of its evaluation"
stated=$(sed -n 's/.*"kld.mean" *: *\([0-9.e-]*\).*/\1/p' "$out/m.qconvert.json" | head -1)
corrected=$(divergence "$out/m" --lora "$out/m/adapter")
if [ -n "$stated" ] && [ "$stated" = "$corrected" ]; then pass "$name"; else fail "$name" "$stated, but eval says $corrected"; fi
fresh
refused "two corrections" 64 "$model" "$out/m" --scheme w4a16 -p lorc -p eora
refused "a correction of nothing" 64 "$model" "$out/m" --scheme bf16 -p lorc
refused "8-bit factors in a folder" 69 "$model" "$out/m" --scheme w4a16 -p lorc:bits=8
