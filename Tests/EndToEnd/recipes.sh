# Recipes, gates and result documents, used as in a script.
model=$root/Tests/Fixtures/models/tiny-llama
text=$root/Tests/Fixtures/text/evaluation.txt
evaluated="--eval-text $text --eval-windows 2 --eval-context 64"

# same NAME A B: two files with the same bytes.
same() { if cmp -s "$2" "$3"; then pass "$1"; else fail "$1" "$2 and $3 differ"; fi; }

fresh
attempt "$model" "$out/model.gguf" --plugin awq:grid=4 --samples 4 --context 64 --tensor '*.ffn_down.*=q6_k' --dump-recipe
cp "$work/stdout" "$work/recipe.yaml"
if [ "$code" -eq 0 ] && [ -z "$(ls -A "$out")" ] && ! grep -q . "$work/err"; then
  pass "--dump-recipe converts nothing"
else
  fail "--dump-recipe converts nothing" "ended with $code: $(head -c 200 "$work/err")"
fi
accepted "the command line converts" model.gguf "$model" "$out/model.gguf" --plugin awq:grid=4 --samples 4 --context 64 --tensor '*.ffn_down.*=q6_k'
mv "$out/model.gguf" "$work/typed.gguf"
tidy
accepted "the recipe that it dumped converts" model.gguf --recipe "$work/recipe.yaml"
same "both give the same bytes" "$work/typed.gguf" "$out/model.gguf"
attempt --recipe "$work/recipe.yaml" --dump-recipe
same "a dumped recipe dumps itself" "$work/recipe.yaml" "$work/stdout"
tidy
printf 'scheme: q8_0\ncalibration:\n  sampels: 3\n' >"$work/wrong.yaml"
refused "a recipe with an unknown key" 78 "$model" "$out/model.gguf" --recipe "$work/wrong.yaml"
refused "a recipe that does not exist" 66 "$model" "$out/model.gguf" --recipe "$work/none.yaml"

# shellcheck disable=SC2086
{
  refused "a result that fails its gate" 10 "$model" "$out/model.gguf" --scheme q4_0 $evaluated --fail-if 'kld.mean > 0.0001' --quiet
  refused "a folder that fails its gate" 10 "$model" "$out/model" --scheme w4a16 $evaluated --fail-if 'top1 < 1' --quiet
  refused "a gate on an unknown figure" 64 "$model" "$out/model.gguf" $evaluated --fail-if 'kld.maen > 1'
  accepted "a result that passes its gates" model.gguf "$model" "$out/model.gguf" --scheme q8_0 $evaluated --fail-if 'kld.mean > 1' --fail-if 'size.bytes > 1e8'
}
rm -rf "$work/card"
# shellcheck disable=SC2086
attempt "$model" "$work/card" --scheme w4a16 $evaluated --no-report --quiet
name="the model card shows the evaluation"
if grep -Eq '^\| measured on evaluation.txt \| 2 windows of 64 tokens +\|$' "$work/card/README.md" \
  && grep -Eq '^\| perplexity \| [0-9.]+ ± [0-9.]+ +\|$' "$work/card/README.md"; then
  pass "$name"
else
  fail "$name" "$(grep '^|' "$work/card/README.md" | head -3)"
fi
name="the result document is JSON with the evaluation"
if python3 - "$out/model.gguf.qconvert.json" "$out/model.gguf" <<'PYTHON'; then pass "$name"; else fail "$name" "see above"; fi
import json, os, sys
document = json.load(open(sys.argv[1]))
assert document["ok"] and document["bytes"] == os.path.getsize(sys.argv[2])
assert document["evaluation"]["kld.mean"] < 1 and all(gate["passed"] for gate in document["gates"])
assert len(document["tensors"]) == 75 and document["tensors"][0]["scheme"] == "q8_0"
PYTHON
