#!/usr/bin/env python3
"""reshard.py FOLDER OUT LIMIT: writes the safetensors checkpoint FOLDER again in shards of at most LIMIT bytes of tensors.

Bytes of tensors stay as they are; their order is that of the model (embedding, blocks, norm, head). Only the standard library.
This is how models/tiny-llama was made: reshard.py tiny-llama Tests/Fixtures/models/tiny-llama 4500000
"""
import json
import pathlib
import re
import shutil
import struct
import sys


def read_header(path):
    """The tensors of a file: {name: (header entry, absolute offset)}, and the file's metadata."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    metadata = header.pop("__metadata__", {})
    return {name: (entry, 8 + length + entry["data_offsets"][0]) for name, entry in header.items()}, metadata


def order(name):
    """Sort key: embedding, then blocks by number, then the final norm, then the head."""
    block = re.search(r"layers\.(\d+)\.", name)
    place = 1 if block else {"model.embed_tokens.weight": 0, "model.norm.weight": 2}.get(name, 3)
    return place, int(block.group(1)) if block else 0, name


def write_shard(path, source, names, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name in names:
        entry, _ = tensors[name]
        size = entry["data_offsets"][1] - entry["data_offsets"][0]
        header[name] = {"dtype": entry["dtype"], "shape": entry["shape"], "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out, open(source, "rb") as file:
        out.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            entry, start = tensors[name]
            file.seek(start)
            out.write(file.read(entry["data_offsets"][1] - entry["data_offsets"][0]))
    return offset


def main():
    folder, out, limit = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    source = folder / "model.safetensors"
    tensors, _ = read_header(source)
    shards, room = [], 0
    for name in sorted(tensors, key=order):
        size = tensors[name][0]["data_offsets"][1] - tensors[name][0]["data_offsets"][0]
        if size > room:
            shards.append([])
            room = limit
        shards[-1].append(name)
        room -= size
    index, total = {}, 0
    for number, names in enumerate(shards, 1):
        shard = f"model-{number:05}-of-{len(shards):05}.safetensors"
        total += write_shard(out / shard, source, names, tensors)
        index |= {name: shard for name in names}
    document = {"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))}
    (out / "model.safetensors.index.json").write_text(json.dumps(document, indent=2) + "\n")
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(folder / name, out / name)


main()
