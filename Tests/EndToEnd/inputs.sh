# Inputs that are broken in one way each.
fresh
target=$out/model.gguf
refused "a truncated file" 65 "$in/truncated" "$target" --scheme q8_0
refused "a shard that is missing" 66 "$in/missing-shard" "$target" --scheme q8_0
refused "a tensor that the index lists twice" 65 "$in/listed-twice" "$target" --scheme q8_0
refused "a tensor in two shards" 65 "$in/tensor-in-two-shards" "$target" --scheme q8_0
refused "an index that leaves the folder" 65 "$in/escaping-index" "$target" --scheme q8_0
refused "a tensor of the wrong shape" 65 "$in/wrong-shape" "$target" --scheme q8_0
refused "a weight that is NaN" 65 "$in/nan" "$target" --scheme f32
refused "an unknown architecture" 69 "$in/unknown-architecture" "$target" --scheme q8_0
refused "more tokens than rows of the embedding" 65 "$in/small-embedding" "$target" --scheme q8_0
refused "a folder without weights" 66 "$in/no-weights" "$target" --scheme q8_0
refused "a checkpoint without tensors" 65 "$in/no-tensors" "$target" --scheme q8_0
refused "a config that is not JSON" 65 "$in/bad-config" "$target" --scheme q8_0
refused "an input that does not exist" 66 "$in/nowhere" "$target" --scheme q8_0
refused "an empty calibration text" 65 "$in/good" "$target" --scheme q8_0 --plugin awq --calibration "$in/empty.txt"
refused "a calibration text that does not exist" 66 "$in/good" "$target" --scheme q8_0 --plugin awq --calibration "$in/nowhere.txt"
refused "an unknown scheme" 64 "$in/good" "$target" --scheme q9_z
refused "an unknown plug-in" 64 "$in/good" "$target" --scheme q8_0 --plugin qwa
refused "a value beyond the range of 16-bit floats" 65 "$in/beyond-half" "$target" --scheme f16 --pure
refused "a value whose group's scale is beyond that range" 65 "$in/beyond-blocks" "$target" --scheme q8_0
refused "8-bit floats without their scale" 65 "$in/codes-without-scale" "$target" --scheme q8_0 --allow-requantize
refused "an output matrix that differs from the tied embedding" 65 "$in/tied-and-different" "$target" --scheme q8_0
for number in 0 1 2; do
  refused "an empty tensor with a huge dimension ($number)" 65 "$in/nothing-$number.safetensors" "$out/model.safetensors"
done
refused "a quantized model to requantize" 69 "$work/good.gguf" "$target" --scheme q4_0
mkfifo "$work/pipe" && ln -sf loop "$work/loop"
for kind in pipe loop; do refused "a $kind instead of a file" 66 "$work/$kind" "$target" --scheme q8_0; done
refused "a device instead of a file" 66 /dev/zero "$target" --scheme q8_0
cp -r "$in/good" "$work/pipes" && rm "$work/pipes/config.json" && mkfifo "$work/pipes/config.json"
refused "a pipe instead of a configuration" 66 "$work/pipes" "$target" --scheme q8_0

# root reads everything, but not without the capability to do so.
cp -r "$in/good" "$work/closed"
as_user() { if [ "$(id -u)" -eq 0 ]; then setpriv --bounding-set=-dac_override,-dac_read_search "$@"; else "$@"; fi; }
# $1: what cannot be read; $2: its permissions.
for case in ". 000" ". 444" "config.json 000" "model.safetensors 000" "tokenizer.json 000"; do
  read -r entry mode <<<"$case"
  name="$entry with permissions $mode"
  before=$(stat -c %a "$work/closed/$entry")
  chmod "$mode" "$work/closed/$entry"
  as_user "$qconvert" "$work/closed" "$target" --scheme q8_0 >"$work/stdout" 2>"$work/err"
  code=$?
  chmod "$before" "$work/closed/$entry"
  if [ "$code" -eq 66 ] && grep -q 'closed.*cannot be read by this user.*input.unreadable' "$work/err" && [ -z "$(ls -A "$out")" ]; then
    pass "$name (66)"
  else
    fail "$name" "ended with $code: $(head -c 200 "$work/err")"
  fi
done

accepted "tensors without elements" model.safetensors "$in/empty-matrix.safetensors" "$out/model.safetensors"
tidy
accepted "an output matrix that equals the tied embedding" model.gguf "$in/tied-and-same" "$target" --scheme q8_0
tidy
accepted "64-bit floats" model.gguf "$in/doubles" "$target" --scheme q8_0
tidy
accepted "64-bit floats in a folder, kept" model "$in/doubles" "$out/model" --scheme int4-g32
tidy
accepted "a value beyond the range of 16-bit floats with --allow-nonfinite" model.gguf "$in/beyond-half" "$target" --scheme f16 --allow-nonfinite
tidy
accepted "a weight that is NaN with --allow-nonfinite" model.gguf "$in/nan" "$target" --scheme f32 --allow-nonfinite
