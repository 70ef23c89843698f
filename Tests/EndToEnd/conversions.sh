# Conversions that work: folders, shards, every kind of output.
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

# Without a family, only what is surely a linear layer of the language model is quantized.
fresh
accepted "a model without a family becomes a quantized folder" model "$in/unknown-multimodal" "$out/model" --scheme int4-g32
name="routers, gates and vision layers stay as they are, and clients are told"
said=$(python3 - "$in/unknown-multimodal" "$out/model" "$work/err" 2>&1 <<'PYTHON'
import json, re, struct, sys

def tensors(folder):
    data = open(folder + "/model.safetensors", "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (entry, data[8 + size:][slice(*entry["data_offsets"])]) for name, entry in header.items()}

source, output = tensors(sys.argv[1]), tensors(sys.argv[2])
entries = json.load(open(sys.argv[2] + "/config.json"))["quantization_config"]["ignore"]

def ignored(module):
    """As compressed-tensors decides it."""
    return any(re.match(entry[3:], module) if entry.startswith("re:") else entry == module for entry in entries)

kept = [name for name in source if any(word in name for word in ("mlp.gate.", "shared_expert_gate", "visual.", "multi_modal_projector"))]
assert len(kept) == 2 + 2 + 6, kept
for name in kept:
    assert output[name][1] == source[name][1], f"{name} is not as it was"
    # Clients put names of their own before those of the checkpoint.
    for prefix in ("", "model."):
        assert ignored(prefix + name.removesuffix(".weight")), f"{name} is not in 'ignore'"
for name in source:
    if "_proj." in name and ".layers." in name:
        assert name.removesuffix("weight") + "weight_packed" in output, f"{name} is not quantized"
        assert not ignored(name.removesuffix(".weight")), f"{name} is in 'ignore'"
said = [line for line in open(sys.argv[3]) if "stay as stored" in line]
assert len(said) == 1 and "10 tensors stay" in said[0] and "% of the weights are quantized" in said[0], said
PYTHON
)
if [ $? -eq 0 ]; then pass "$name"; else fail "$name" "$(tail -n 1 <<<"$said")"; fi

# says NAME PATTERN: the last attempt succeeded and warned in exactly one line that matches PATTERN.
says() {
  if [ "$code" -eq 0 ] && [ "$(grep -cE "$2" "$work/err")" -eq 1 ]; then
    pass "$1"
  else
    fail "$1" "ended with $code: $(head -c 300 "$work/err" | tr '\n' ' ')"
  fi
  tidy
}

# Rows of 64 and 96 weights: no group of 128, no super-block of 256, blocks of 32.
fresh
name="a preset that fits no layer is refused, with what fits all"
refused "$name" 69 "$in/good" "$out/model"
attempt "$in/good" "$out/model"
case $(cat "$work/err") in
  *"w4a16 fits none of the 14 layers"*"these fit: int4-g32, int4-channel, int8-channel"*"[scheme.no-layer]"*) pass "$name: names" ;;
  *) fail "$name: names" "$(head -c 300 "$work/err")" ;;
esac
attempt "$in/good" "$out/model.gguf" --scheme q4_k_m
says "types that fall back are counted" "1[0-9] of 21 tensors, with 1?[0-9]?[0-9] % of the weights, fall back to another scheme.*256"
