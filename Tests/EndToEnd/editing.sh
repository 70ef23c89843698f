# GGUF to GGUF: other files, other metadata, and the options of llama-quantize.
fresh
attempt "$work/good.gguf" "$out/model.gguf" --scheme keep --split-max-size 100K --no-report
parts=$(ls "$out" | wc -l)
first=$(ls "$out" | head -1) last=$(ls "$out" | tail -1)
number=$(printf %05d "$parts")
name="a split GGUF has the numbers of gguf-split"
if [ "$code" -eq 0 ] && [ "$parts" -gt 1 ] && [ "$first" = "model-00001-of-$number.gguf" ] && [ "$last" = "model-$number-of-$number.gguf" ]; then
  pass "$name ($parts files)"
else
  fail "$name" "ended with $code; the folder holds $(ls -A "$out" | tr '\n' ' ')"
fi

name="any shard of a split GGUF merges into the file that was split"
attempt "$out/$last" "$work/merged.gguf" --scheme keep --no-report --force
if [ "$code" -eq 0 ] && cmp -s "$work/merged.gguf" "$work/good.gguf"; then pass "$name"; else fail "$name" "ended with $code: $(cat "$work/err")"; fi

name="a split GGUF with a missing shard is refused by that shard's name"
rm "$out/$first"
attempt "$out/$last" "$work/merged.gguf" --scheme keep --no-report --force
if [ "$code" -eq 66 ] && grep -q "$first" "$work/err"; then pass "$name (66)"; else fail "$name" "ended with $code: $(cat "$work/err")"; fi

fresh
accepted "the metadata of a GGUF is edited" model.gguf "$work/good.gguf" "$out/model.gguf" --set-meta 'general.name=str:x' --drop-meta general.size_label
fresh
refused "an edit of the alignment" 64 "$work/good.gguf" "$out/model.gguf" --set-meta general.alignment=u32:64
refused "an edit of a folder" 64 "$in/good" "$out/model" --set-meta general.name=str:x
accepted "the options of llama-quantize" model.gguf "$work/good.gguf" "$out/model.gguf" --scheme Q4_0 --allow-requantize --pure \
  --tensor-type 'ATTN_V=Q5_0' --token-embedding-type F16 --leave-output-tensor --override-kv general.quantization_version=int:2
