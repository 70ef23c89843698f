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
for folder in "$in/odd"/*; do means "a configuration with ${folder##*/}" "$folder"; done
while IFS='|' read -r name words; do
  refused "$name instead of weights" 66 "$in/foreign/$name" "$target"
  says "the way on" "$words"
done <"$in/foreign.txt"
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
accepted "a model that does not mention its length" model.gguf "$in/unsaid-context" "$target" --scheme f32
attempt inspect "$target" --metadata
if grep -q 'llama.context_length *u32 *2048' "$work/stdout"; then pass "it gets that of its class"; else
  fail "it gets that of its class" "$(grep context_length "$work/stdout")"
fi
tidy
printf '\357\273\277' | cat - "$in/good/config.json" >"$work/mark.json"
refused "a byte order mark" 65 "$in/good" "$target" --config "$work/mark.json"
says "its name" "byte order mark"

attempt "$in/companions" "$out/model" --scheme bf16 --report none
for file in special_tokens_map.json sentence_bert_config.json config_sentence_transformers.json USE_POLICY.md image.png tekken.json \
  video_preprocessor_config.json tokenization_x.py src/inner/util.py additional_chat_templates/tool.jinja \
  modeling_x.py COPYING chat.jinja LICENSE modules.json 1_Pooling/config.json 2_Dense/model.safetensors \
  chat_templates/tools.jinja; do
  if cmp -s "$in/companions/$file" "$out/model/$file"; then pass "$file comes along"; else fail "$file comes along" "it does not"; fi
done
if [ -e "$out/model/optimizer.pt" ] || [ -e "$out/model/quantize_config.json" ]; then fail "training stays behind" "it does not"; else pass "training stays behind"; fi
for file in NOTICE linked onnx trainer_state.json training_args.bin rng_state.pth; do
  if [ -e "$out/model/$file" ]; then fail "$file stays behind" "it does not"; else pass "$file stays behind"; fi
done
says "what stays behind" "7 files and folders are not carried along"
attempt "$in/companions" "$out/model" --scheme f16 --report none --force
if [ "$code" -eq 0 ]; then pass "an output with folders is replaced"; else fail "an output with folders is replaced" "$(cat "$work/err")"; fi
touch "$out/model/1_Pooling/mine"
attempt "$in/companions" "$out/model" --scheme f16 --report none --force
if [ "$code" -eq 73 ] && [ -e "$out/model/1_Pooling/mine" ]; then pass "a foreign file in a folder of an output stays (73)"; else
  fail "a foreign file in a folder of an output stays" "ended with $code: $(cat "$work/err")"
fi
tidy

accepted "a class with biases that the model does not have" model.gguf "$in/without-biases" "$target" --scheme f32
tidy
refused "the same, where one of them is stored" 65 "$in/with-one-bias" "$target" --scheme f32
attempt "$in/older-cache-scales" "$target" --scheme f32 --report none
if [ "$code" -eq 0 ]; then pass "older names of cache scales"; else fail "older names of cache scales" "ended with $code: $(cat "$work/err")"; fi
says "what a GGUF does without" "the scales of cached keys and values of 2 blocks are left out"
tidy

# What an output would be is found before it gets its name.
refused "metadata that contradict the tensors" 65 "$in/good" "$target" --scheme f32 --set-meta llama.block_count=u32:3
says "what would be missing" "the output would not be valid: 'blk.2."
refused "metadata that no reader takes" 64 "$in/good" "$target" --scheme f32 --set-meta llama.attention.head_count_kv=u32:3
refused "a tokenizer with which llama.cpp aborts" 65 "$work/right.gguf" "$target" --scheme keep \
  --set-meta "tokenizer.ggml.tokens=str[]:[$(printf '"a",%.0s' $(seq 4095))\"a\"]"
says "why" "the output would not be valid: tokens 0 and 1 have the same text"

attempt "$in/good" "$target" --scheme q4_0 --eval-text "$in/text.txt" --eval-context 4 --fail-if 'kld.mean < 1000' --keep-rejected
if [ "$code" -eq 10 ] && [ -e "$target" ] && grep -q '"passed": *false' "$target.qconvert.json"; then pass "a rejected output is kept (10)"; else
  fail "a rejected output is kept" "ended with $code: $(head -c 300 "$work/err"); $(ls "$out" | tr '\n' ' ')"
fi
attempt inspect "$target"
if [ "$code" -eq 0 ]; then pass "what is kept is complete"; else fail "what is kept is complete" "$(cat "$work/err")"; fi
tidy

# Tokenizers as people have them: ids of the tokenizers library.
python3 "$here/odd_tokenizers.py" "$work/odd" "$in/good"
while IFS='|' read -r name ids; do
  attempt tokenize "$in/good" --tokenizer "$work/odd/$name" --text "$work/odd/text.txt"
  if [ "$(cat "$work/stdout")" = "$ids" ]; then pass "a tokenizer with $name"; else
    fail "a tokenizer with $name" "gives $(cat "$work/stdout" "$work/err") instead of $ids"
  fi
done <"$work/odd/expected.txt"
