# Links, streams that are closed or full, other inputs of the same size, patterns and rules without end.
fresh
echo precious >"$work/elsewhere" && ln -sf "$work/elsewhere" "$out/model.gguf"
untouched "a link is not an output" "$(listed)" "$in/good" "$out/model.gguf" --scheme q8_0 --force
grep -q 'output.link' "$work/err" || fail "the link is named" "$(head -c 200 "$work/err")"
untouched "a link takes no report" "$(listed)" "$in/good" "$out/other.gguf" --scheme q8_0 --force --report "$out/model.gguf"
tidy
mkdir "$work/others" && ln -s "$work/others" "$out/model"
untouched "a link to a folder is not an output" "$(listed)" "$in/good" "$out/model" --scheme int4-g32 --force
tidy

# Standard error is closed at the start: its number must not go to a file.
attempt "$in/good" "$out/expected.gguf" --scheme q8_0 --no-report --quiet
name="a closed standard error"
timeout 300 "$qconvert" "$in/good" "$out/model.gguf" --scheme q8_0 --no-report --allow-nonfinite >/dev/null 2>&- </dev/null
code=$?
attempt "$in/good" "$out/same.gguf" --scheme q8_0 --no-report --allow-nonfinite --quiet
if [ "$code" -eq 0 ] && cmp -s "$out/model.gguf" "$out/same.gguf"; then pass "$name"; else fail "$name" "ended with $code, or other bytes"; fi
tidy

name="a result that cannot be printed"
timeout 300 "$qconvert" "$in/good" "$out/model.gguf" --scheme q8_0 --no-report --json >/dev/full 2>"$work/err" </dev/null
code=$?
if [ "$code" -eq 74 ] && [ -s "$out/model.gguf" ]; then pass "$name (74)"; else fail "$name" "ended with $code"; fi
tidy

# Control characters of the second block: terminals obey them.
name="control characters in a document"
attempt "$in/good" "$out/$(printf 'a\302\233b').gguf" --scheme q8_0 --no-report --json --quiet
if [ "$code" -eq 0 ] && grep -q 'a\\u009bb' "$work/stdout" && ! LC_ALL=C grep -q "$(printf '\302\233')" "$work/stdout"; then
  pass "$name"
else
  fail "$name" "ended with $code"
fi
tidy

# A pattern that a backtracking matcher never ends with.
name="a rule that matches in many ways"
timeout 30 "$qconvert" plan "$in/good" "$out/model.gguf" --scheme q8_0 --tensor 're:(.+)+!=f16' >/dev/null 2>"$work/err" </dev/null
code=$?
if [ "$code" -eq 64 ] && grep -q 'rule.no-match' "$work/err"; then pass "$name (64)"; else fail "$name" "ended with $code"; fi
name="a configuration that matches in many ways"
attempt "$in/good" "$out/model" --scheme int4-g32 --no-report --quiet
python3 - "$out/model/config.json" <<'PYTHON'
import json, sys
config = json.load(open(sys.argv[1]))
config["quantization_config"]["ignore"].append("re:(.+)+!")
json.dump(config, open(sys.argv[1], "w"))
PYTHON
timeout 60 "$qconvert" "$out/model" "$out/model.gguf" --scheme q8_0 --allow-requantize --no-report --quiet >/dev/null 2>"$work/err" </dev/null
code=$?
if [ "$code" -eq 0 ]; then pass "$name"; else fail "$name" "ended with $code: $(head -c 200 "$work/err")"; fi
tidy

# Nine tables of nine, six levels deep.
python3 - "$work/recipe.yaml" <<'PYTHON'
import sys
lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 7)]
open(sys.argv[1], "w").write("\n".join(lines) + "\n")
PYTHON
refused "a recipe of nested aliases" 78 "$in/good" "$out/model.gguf" --recipe "$work/recipe.yaml"
cp -r "$in/good" "$work/carded"
{ echo ---; cat "$work/recipe.yaml"; echo ---; } >"$work/carded/README.md"
name="a model card of nested aliases"
timeout 10 "$qconvert" "$work/carded" "$out/model.gguf" --scheme q8_0 --no-report --quiet >/dev/null 2>"$work/err" </dev/null
code=$?
if [ "$code" -eq 0 ]; then pass "$name"; else fail "$name" "ended with $code"; fi
tidy

# Replacements that double a text, 26 times.
cp -r "$in/good" "$work/doubling"
python3 - "$work/doubling/tokenizer.json" <<'PYTHON'
import json, sys
tokenizer = json.load(open(sys.argv[1]))
rule = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
tokenizer["normalizer"] = {"type": "Sequence", "normalizers": [rule] * 26}
json.dump(tokenizer, open(sys.argv[1], "w"))
PYTHON
printf a >"$work/a.txt"
name="rules that double a text"
(ulimit -v 4000000; timeout 60 "$qconvert" tokenize "$work/doubling" --text "$work/a.txt") >/dev/null 2>"$work/err" </dev/null
code=$?
if [ "$code" -eq 65 ] && grep -q 'limit.normalizer' "$work/err"; then pass "$name (65)"; else fail "$name" "ended with $code: $(head -c 200 "$work/err")"; fi

# A token that takes the spaces before it, in a text of nothing else.
cp -r "$in/good" "$work/spaces"
python3 - "$work/spaces/tokenizer.json" "$work/spaces.txt" <<'PYTHON'
import json, sys
tokenizer = json.load(open(sys.argv[1]))
token = {"id": len(tokenizer["model"]["vocab"]) + len(tokenizer["added_tokens"]) + 7, "content": " ", "single_word": False}
tokenizer["added_tokens"].append(token | {"lstrip": True, "rstrip": False, "normalized": False, "special": True})
json.dump(tokenizer, open(sys.argv[1], "w"))
open(sys.argv[2], "w").write(" " * 300_000)
PYTHON
name="a token that takes the spaces before it"
timeout 10 "$qconvert" tokenize "$work/spaces" --text "$work/spaces.txt" >/dev/null 2>"$work/err" </dev/null
code=$?
if [ "$code" -eq 0 ]; then pass "$name"; else fail "$name" "ended with $code: $(head -c 200 "$work/err")"; fi

# Companion files that are links.
fresh
cp -r "$in/good" "$work/linked" && echo secret >"$work/secret" && ln -s ../secret "$work/linked/LICENSE"
name="a companion file outside of the folder"
attempt "$work/linked" "$out/model" --scheme int4-g32 --no-report
if [ "$code" -eq 0 ] && [ ! -e "$out/model/LICENSE" ] && grep -q 'LICENSE is a link' "$work/err"; then pass "$name"; else fail "$name" "ended with $code"; fi
tidy
cp -r "$in/good" "$work/dangling" && rm "$work/dangling/tokenizer.json" && ln -s ../../blobs/gone "$work/dangling/tokenizer.json"
for target in model model.gguf; do
  refused "a tokenizer that is a dangling link ($target)" 66 "$work/dangling" "$out/$target"
  grep -q 'tokenizer.json' "$work/err" || fail "the link is named" "$(head -c 200 "$work/err")"
done
hub=$work/hub/models--org--name
mkdir -p "$hub/blobs" "$hub/snapshots/0123"
for file in "$in/good"/*; do cp "$file" "$hub/blobs/" && ln -s "../../blobs/${file##*/}" "$hub/snapshots/0123/"; done
name="links of the Hub's cache"
attempt "$hub/snapshots/0123" "$out/model" --scheme int4-g32 --no-report
if [ "$code" -eq 0 ] && cmp -s "$in/good/tokenizer.json" "$out/model/tokenizer.json"; then pass "$name"; else fail "$name" "ended with $code"; fi
