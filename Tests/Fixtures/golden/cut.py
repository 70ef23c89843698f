#!/usr/bin/env python3
"""cut.py GOLDEN OUT: cuts the folders that other tools wrote (GOLDEN) down to what is kept here (OUT). Only the standard library.

Bytes of tensors stay as they are. A folder is kept in one of two ways:

    whole   both blocks, so that the logits that its own library computed (forward-check.json) still hold. Embedding, final norm's
            neighbours and head are the same in all these folders; they lie once in ends.safetensors, which each links to.
    layers  five layers of two blocks, whose weights the library itself was asked for: dequantized-check.json, less the checks of
            layers that are gone. There is no model to run in it.

This is how the folders were made: cut.py ../shared/golden Tests/Fixtures/golden
"""
import json
import os
import pathlib
import re
import shutil
import struct
import sys

ENDS = ("model.embed_tokens.weight", "lm_head.weight")
LAYERS = re.compile(r"^model\.layers\.(0\.self_attn\.[qkv]_proj|1\.(self_attn\.o_proj|mlp\.down_proj))\.")
# Rounded inputs, and one folder for every way to pack weights whose logits a clone can check in little room.
WHOLE = [
    "ct-fp8-block", "ct-fp8-kv", "ct-fp8-static", "ct-nvfp4", "ct-sq-w8a8-static", "ct-mxfp4a16", "gptqmodel-gptq2",
    "gptqmodel-gptq4-desc", "bnb-nf4-double",
]
CUT = [
    "autoawq-w4", "autoround-w4", "bnb-int8", "bnb-nf4", "ct-awq-w4a16-asym", "ct-fp8-dynamic", "ct-gptq-w3a16", "ct-gptq-w4a16",
    "ct-gptq-w8a16", "ct-mxfp8a16", "ct-rtn-w4a16-asym", "ct-sq-gptq-w8a8", "gptqmodel-gptq3", "gptqmodel-gptq4",
    "gptqmodel-gptq4-asym", "gptqmodel-gptq4-g32", "gptqmodel-gptq4-v2", "gptqmodel-gptq8", "hqq-w4", "modelopt-fp8",
    "modelopt-nvfp4", "torchao-int8",
]
# A small model of another family, kept as it is.
COPIED = ["gptoss-mxfp4"]


def read(path):
    """The header entries of a file with their tensors' bytes, in the order of the file, and its metadata."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + length])
    metadata = header.pop("__metadata__", {})
    data = content[8 + length:]
    return {name: (entry, data[slice(*entry["data_offsets"])]) for name, entry in header.items()}, metadata


def write(path, tensors, metadata):
    header, offset = {"__metadata__": metadata} if metadata else {}, 0
    for name, (entry, content) in tensors.items():
        header[name] = entry | {"data_offsets": [offset, offset + len(content)]}
        offset += len(content)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(content for _, content in tensors.values()))


def copy(source, target, names):
    for name in names:
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)


def keep_whole(source, target, ends):
    tensors, metadata = read(source / "model.safetensors")
    for name in ENDS:
        entry, content = tensors[name]
        own = {"dtype": entry["dtype"], "shape": entry["shape"]}, content
        assert ends.setdefault(name, own) == own, f"{source.name}: {name} is another one"
    kept = {name: tensor for name, tensor in tensors.items() if name not in ENDS}
    write(target / "model.safetensors", kept, metadata)
    os.symlink("../ends.safetensors", target / "ends.safetensors")
    places = {name: "ends.safetensors" if name in ENDS else "model.safetensors" for name in sorted(tensors)}
    index = {"metadata": {"total_size": sum(len(content) for _, content in tensors.values())}, "weight_map": places}
    (target / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    copy(source, target, ["forward-check.json", "dequantized-check.json"])


def keep_layers(source, target):
    tensors, metadata = read(source / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if LAYERS.match(name)}
    # torchao describes each tensor in the metadata.
    metadata = {key: value for key, value in metadata.items() if not re.match(r"model\.|lm_head", key) or LAYERS.match(key)}
    write(target / "model.safetensors", kept, metadata)
    document = json.loads((source / "dequantized-check.json").read_text())
    document["checks"] = [check for check in document["checks"] if LAYERS.match(check["tensor"])]
    (target / "dequantized-check.json").write_text(json.dumps(document, separators=(",", ":")))


def main():
    golden, out, ends = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), {}
    for name in [*WHOLE, *CUT, *COPIED]:
        source, target = golden / name, out / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        copy(source, target, ["config.json", "hf_quant_config.json", "quantize_config.json", "quantization_config.json"])
        if name in WHOLE:
            keep_whole(source, target, ends)
        elif name in CUT:
            keep_layers(source, target)
        else:
            copy(source, target, ["model.safetensors", "dequantized-check.json", "forward-check.json"])
    write(out / "ends.safetensors", ends, {"format": "pt"})


main()
