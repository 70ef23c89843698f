# Inputs as people have them: named by their cause, read without a guess, or refused with a way on that works.
fresh
target=$out/model.gguf
attempt "$in/good" "$work/right.gguf" --scheme f32 --report none || true

# means NAME ARGUMENTS...: what is converted holds the weights of the good model.
means() {
  local name=$1
  shift
  attempt "$@" "$target" --scheme f32 --report none
  if [ "$code" -ne 0 ]; then
    fail "$name" "ended with $code: $(head -c 300 "$work/err" | tr '\n' ' ')"
  else
    attempt compare "$work/right.gguf" "$target"
    if [ "$code" -eq 0 ]; then pass "$name"; else fail "$name" "has other weights: $(head -c 300 "$work/stdout" | tr '\n' ' ')"; fi
  fi
  tidy
}

# says NAME TEXT: the last attempt printed TEXT among its messages.
says() { if grep -qF -- "$2" "$work/err"; then pass "$1"; else fail "$1" "said $(head -c 300 "$work/err" | tr '\n' ' ')"; fi; }

for folder in wrapped compiled without-prefix stale-index bare-consolidated beside-adapter zero-bias; do means "a folder that is $folder" "$in/$folder"; done
means "a tensor that the user drops" "$in/value-head" --drop 'v_head.*'
refused "a tensor of no known part" 69 "$in/value-head" "$target" --scheme f32
says "how to leave it out" "--drop PATTERN"
refused "a pattern that drops nothing" 64 "$in/good" "$target" --drop nothing
refused "two models in a folder" 65 "$in/two-models" "$target"
says "both are named" "model.safetensors, and shards that model.safetensors.index.json names"
refused "an adapter that is not merged" 65 "$in/unmerged" "$target"
says "how to merge it" "merge_and_unload"
refused "a placeholder of sharded training" 65 "$in/placeholder" "$target"
refused "codes that nothing describes" 65 "$in/undescribed" "$target"
says "how they look" "they look like those of bitsandbytes"
refused "the same in a folder" 65 "$in/undescribed" "$out/model"
refused "the same for an evaluation" 65 eval "$in/undescribed" --text "$in/text.txt"
refused "a bias that nothing announces" 69 "$in/bias" "$target"
says "the key that announces it" "'mlp_bias'"
refused "the same for an evaluation" 69 eval "$in/bias" --text "$in/text.txt"
sed 's/"mlp_bias": false/"mlp_bias": true/' "$in/bias/config.json" >"$work/announced.json"
accepted "a bias that is announced, as the remedy says" model.gguf "$in/bias" "$target" --config "$work/announced.json" --scheme f32
tidy
refused "a publisher's own format" 69 "$in/native" "$target"
refused "a link without its file" 66 "$in/dangling" "$target"
refused "the Hub's cache" 65 "$in/hub" "$target"
says "the version to give" "snapshots/0123"
attempt inspect "$in/undescribed"
if grep -q 'loaded by *no known client' "$work/stdout"; then pass "no client loads it"; else fail "no client loads it" "$(grep loaded "$work/stdout")"; fi
refused "a model of unknown context" 65 "$in/no-context" "$target" --scheme f32
accepted "the same with its length, as the remedy says" model.gguf "$in/no-context" "$target" --scheme f32 --set-meta llama.context_length=u32:64
tidy
printf '\357\273\277' | cat - "$in/good/config.json" >"$work/mark.json"
refused "a byte order mark" 65 "$in/good" "$target" --config "$work/mark.json"
says "its name" "byte order mark"

attempt "$in/companions" "$out/model" --scheme bf16 --report none
for file in modeling_x.py COPYING chat.jinja LICENSE; do
  if cmp -s "$in/companions/$file" "$out/model/$file"; then pass "$file comes along"; else fail "$file comes along" "it does not"; fi
done
if [ -e "$out/model/optimizer.pt" ] || [ -e "$out/model/quantize_config.json" ]; then fail "training stays behind" "it does not"; else pass "training stays behind"; fi
says "what stays behind" "'1_Pooling' is not carried along"
tidy
