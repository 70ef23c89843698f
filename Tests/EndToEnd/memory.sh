# One tensor of a gigabyte, stored as a hole in a file, is converted although the program may use only 200 MB of private memory.
name_of_hole=$work/hole
mkdir "$name_of_hole"
python3 - "$name_of_hole" <<'PYTHON'
import json, sys
rows, columns = 32768, 16384
header = json.dumps({"model.layers.0.mlp.up_proj.weight": {
    "dtype": "BF16", "shape": [rows, columns], "data_offsets": [0, rows * columns * 2]}}).encode()
header += b" " * (-len(header) % 8)
with open(sys.argv[1] + "/model.safetensors", "wb") as file:
    file.write(len(header).to_bytes(8, "little") + header)
    file.truncate(8 + len(header) + rows * columns * 2)
with open(sys.argv[1] + "/config.json", "w") as file:
    json.dump({"model_type": "none-that-is-known", "torch_dtype": "bfloat16"}, file)
PYTHON
for scheme in int4-g128 int4-g128-asym fp8-block128 mxfp4; do
  fresh
  name="a tensor of a gigabyte to $scheme in 200 MB"
  (ulimit -d 200000; exec timeout 300 "$qconvert" "$name_of_hole" "$out/model" --scheme "$scheme" --plugin rtn --threads 2) \
    >/dev/null 2>"$work/err" </dev/null
  code=$?
  if [ "$code" -eq 0 ]; then pass "$name"; else fail "$name" "ended with $code: $(head -c 300 "$work/err")"; fi
done
rm -rf "$name_of_hole"
