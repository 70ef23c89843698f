# The bytes are the same on every instruction set, for schemes without calibration.
model=$root/Tests/Fixtures/models/tiny-llama

# bytes: hashes of the files with tensors in $out, sorted by name.
bytes() { (cd "$out" && find . -name '*.safetensors' -o -name '*.gguf' | sort | xargs sha256sum); }

for scheme in w4a16 int3-g32 int4-g64-asym int8-channel fp8 fp8-block nvfp4a16 mxfp4a16 mxfp8a16 bf16 f16; do
  targets[${#targets[@]}]="folder $scheme"
done
for scheme in q8_0 q4_0 q5_1 q4_k_m q6_k f16; do targets[${#targets[@]}]="model.gguf $scheme"; done
for target in "${targets[@]}"; do
  name="${target#* } is the same on every instruction set"
  expected=
  said=
  for level in avx512 avx2 baseline; do
    fresh
    QCONVERT_CPU=$level attempt "$model" "$out/${target%% *}" --scheme "${target#* }" --plugin rtn
    [ "$code" -eq 0 ] || said="ended with $code: $(head -c 200 "$work/err")"
    found=$(bytes)
    [ "${expected:-$found}" = "$found" ] || said="$level writes other bytes"
    expected=$found
  done
  if [ -n "$said" ]; then fail "$name" "$said"; else pass "$name"; fi
done
