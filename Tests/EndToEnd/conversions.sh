# What works: folders, shards, every kind of target.
for model in good sharded; do
  fresh
  accepted "a $model model becomes a GGUF file" model.gguf "$in/$model" "$out/model.gguf" --scheme q8_0
  cp "$out/model.gguf" "$work/$model.gguf" 2>/dev/null
done
# The folder's name becomes the model's name, so both must be called the same.
mkdir -p "$work/twin" && cp -r "$in/sharded" "$work/twin/good"
"$QCONVERT" "$work/twin/good" "$work/sharded.gguf" --scheme q8_0 --force 2>/dev/null
if cmp -s "$work/good.gguf" "$work/sharded.gguf"; then
  pass "one file and shards give the same bytes"
else
  fail "one file and shards give the same bytes" "they differ"
fi
fresh
accepted "a model becomes a quantized folder" model "$in/good" "$out/model" --scheme int4-g32
fresh
accepted "a GGUF file becomes another" model.gguf "$work/good.gguf" "$out/model.gguf" --scheme q4_0 --allow-requantize
fresh
accepted "--force replaces a file" model.gguf "$in/good" "$out/model.gguf" --scheme q8_0
accepted "--force replaces a file once more" model.gguf "$in/good" "$out/model.gguf" --scheme q8_0 --force
