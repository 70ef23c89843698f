# Floats that lie on a grid already keep their codes; zero points of HQQ; the split of LLM.int8().
model=$root/Tests/Fixtures/models/tiny-llama
text=$root/Tests/Fixtures/text/evaluation.txt

# parts A B: whether the codes and scales of two folders are the same numbers, whatever type the scales have.
parts() {
  python3 - "$1" "$2" <<'PYTHON'
import json, struct, sys

def tensors(folder):
    data = open(folder + "/model.safetensors", "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (entry["dtype"], data[8 + size:][slice(*entry["data_offsets"])]) for name, entry in header.items()}

def numbers(kind, data):
    if kind == "F16":
        return struct.unpack(f"<{len(data) // 2}e", data)
    if kind == "BF16":
        return tuple(struct.unpack("<f", b"\0\0" + data[i:i + 2])[0] for i in range(0, len(data), 2))
    return data

first, second = tensors(sys.argv[1]), tensors(sys.argv[2])
parts = [name for name in first if name.endswith(("weight_packed", "weight_scale", "weight_zero_point"))]
assert parts, "no packed weights"
for name in parts:
    assert numbers(*first[name]) == numbers(*second[name]), f"{name} differs"
PYTHON
}

for scheme in int4-g32 int4-g32-asym int8-channel; do
  rm -rf "$work/codes"
  "$qconvert" "$model" "$work/codes" --scheme $scheme --no-report --quiet 2>/dev/null
  for type in f16 bf16; do
    name="$scheme in $type gets its codes again"
    rm -rf "$work/floats" "$work/again"
    "$qconvert" "$work/codes" "$work/floats" --scheme $type --no-report --quiet 2>/dev/null
    attempt "$work/floats" "$work/again" --scheme $scheme --no-report --quiet
    if [ "$code" -eq 0 ] && said=$(parts "$work/codes" "$work/again" 2>&1); then pass "$name"; else fail "$name" "${said: -200}"; fi
  done
done
attempt inspect "$work/floats"
if grep -Eq '^lattices +56 on the grid of int8-channel$' "$work/stdout"; then
  pass "inspect names the grid"
else
  fail "inspect names the grid" "$(head -c 400 "$work/stdout")"
fi
attempt inspect "$model"
if [ "$code" -eq 0 ] && ! grep -q lattices "$work/stdout"; then
  pass "ordinary weights lie on no grid"
else
  fail "ordinary weights lie on no grid" "$(head -c 400 "$work/stdout")"
fi
rm -f "$work"/blocks.gguf "$work"/floats.gguf "$work"/again.gguf
for scheme in q4_0 q8_0 iq4_nl; do
  "$qconvert" "$model" "$work/blocks.gguf" --scheme $scheme --pure --force --no-report --quiet 2>/dev/null
  "$qconvert" "$work/blocks.gguf" "$work/floats.gguf" --scheme f32 --force --no-report --quiet 2>/dev/null
  "$qconvert" "$work/floats.gguf" "$work/again.gguf" --scheme $scheme --pure --force --no-report --quiet 2>/dev/null
  attempt compare "$work/blocks.gguf" "$work/again.gguf"
  if [ "$code" -eq 0 ] && grep -q '75 tensors: 75 equal' "$work/stdout"; then
    pass "$scheme in f32 gets its codes again"
  else
    fail "$scheme in f32 gets its codes again" "$(tail -n 3 "$work/stdout" | head -c 300)"
  fi
done

rm -rf "$work/hqq" "$work/hqq.gguf"
attempt "$model" "$work/hqq" --scheme hqq4-g32 --plugin hqq --no-report --quiet
[ "$code" -eq 0 ] && pass "a folder of HQQ is written" || fail "a folder of HQQ is written" "$(head -c 300 "$work/err")"
attempt validate "$work/hqq"
[ "$code" -eq 0 ] && pass "and is valid" || fail "and is valid" "$(head -c 300 "$work/stdout")"
attempt "$work/hqq" "$work/hqq.gguf" --scheme q4_1 --pure --tensor token_embd.weight=q8_0 --tensor output.weight=q8_0 --no-report --quiet
[ "$code" -eq 0 ] && pass "its codes become Q4_1" || fail "its codes become Q4_1" "$(head -c 300 "$work/err")"
attempt "$model" "$work/plain" --scheme int4-g32 --plugin hqq --no-report
name="groups without zero points are counted"
if [ "$code" -eq 0 ] && grep -q '55 more tensors: .*no zero points' "$work/err"; then pass "$name"; else fail "$name" "$(head -c 300 "$work/err")"; fi

attempt eval "$model" --text "$text" --windows 2 --context 64 --simulate llm-int8:0.5 --json
if [ "$code" -eq 0 ] && python3 -c '
import json, sys
kept = json.load(open(sys.argv[1]))["simulated.kept"]
assert kept and all(0 < len(layer["columns"]) <= layer["of"] and layer["layer"].endswith(".weight") for layer in kept)' "$work/stdout"; then
  pass "eval says which columns the split keeps"
else
  fail "eval says which columns the split keeps" "$(head -c 300 "$work/stdout")"
fi
rm -rf "$work/plain"
