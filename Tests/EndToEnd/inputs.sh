# Inputs that are wrong in one way each.
fresh
target=$out/model.gguf
refused "a truncated file" 65 "$in/truncated" "$target" --scheme q8_0
refused "a shard that is missing" 66 "$in/missing-shard" "$target" --scheme q8_0
refused "a tensor that the index lists twice" 65 "$in/listed-twice" "$target" --scheme q8_0
refused "a tensor in two shards" 65 "$in/tensor-in-two-shards" "$target" --scheme q8_0
refused "an index that leaves the folder" 65 "$in/escaping-index" "$target" --scheme q8_0
refused "a tensor of the wrong shape" 65 "$in/wrong-shape" "$target" --scheme q8_0
refused "a weight that is not a number" 65 "$in/nan" "$target" --scheme f32
refused "an architecture that nobody knows" 69 "$in/unknown-architecture" "$target" --scheme q8_0
refused "more tokens than rows of the embedding" 65 "$in/small-embedding" "$target" --scheme q8_0
refused "a folder without weights" 66 "$in/no-weights" "$target" --scheme q8_0
refused "a checkpoint without tensors" 65 "$in/no-tensors" "$target" --scheme q8_0
refused "a config that is not JSON" 65 "$in/bad-config" "$target" --scheme q8_0
refused "an input that is not there" 66 "$in/nowhere" "$target" --scheme q8_0
refused "a calibration text that is empty" 65 "$in/good" "$target" --scheme q8_0 --plugin awq --calibration "$in/empty.txt"
refused "a calibration text that is not there" 66 "$in/good" "$target" --scheme q8_0 --plugin awq --calibration "$in/nowhere.txt"
refused "a scheme that nobody knows" 64 "$in/good" "$target" --scheme q9_z
refused "a plug-in that nobody knows" 64 "$in/good" "$target" --scheme q8_0 --plugin qwa
accepted "a weight that is not a number, where that is allowed" model.gguf "$in/nan" "$target" --scheme f32 --allow-nonfinite
