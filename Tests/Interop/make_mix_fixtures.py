"""Writes Tests/Fixtures/mixes/llama-quantize.txt from the snapshots in llama.cpp's tests (MIT licence): which type llama-quantize
gives every matrix of twelve published models under every mix. Run as: make_mix_fixtures.py LLAMA_CPP_SOURCES

A snapshot names, for each mix, the common type and the tensors with another one. A tensor that is never an exception is in no
snapshot; if only some of a block's three stacks of experts are named, the others are added. The relevant facts about a shape (whether
its rows are a multiple of 256 or of 32, and whether it is a stack) follow from the types."""
import collections
import pathlib
import re
import sys

OUT = pathlib.Path(__file__).parent.parent / "Fixtures/mixes/llama-quantize.txt"
ARCHITECTURES = {
    "deepseek-v3.1": "deepseek2", "gemma-3-4b-it": "gemma3", "glm-4.6v": "glm4moe", "gpt-oss-120b": "gpt-oss",
    "meta-llama-3.1-70b-instruct": "llama", "nvidia-nemotron-3-nano-30b-a3b": "nemotron_h_moe", "qwen3-0.6b": "qwen3",
    "qwen3-14b": "qwen3", "qwen3-coder-next": "qwen3next", "qwen3.5-397b-a17b": "qwen35moe", "qwen3.6-27b": "qwen35",
    "step-3.5-flash": "step35"}


def read(path):
    numbers, sections = {}, {}
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            numbers.update({key: int(value) for key, value in re.findall(r"(n_\w+)=(\d+)", line)})
        elif line.startswith("["):
            name, base = re.fullmatch(r"\[(\w+)\] (\w+)", line).groups()
            current = sections[name.lower()] = (base.lower(), {})
        elif line:
            name, kind = line.rsplit(" ", 1)
            current[1][name] = kind.lower()
    return numbers, sections


def split(name):
    match = re.fullmatch(r"blk\.(\d+)\.(.+)\.weight", name)
    return (match[2], int(match[1])) if match else (name.removesuffix(".weight"), None)


def ranges(blocks):
    """'0-3,7' of [0, 1, 2, 3, 7]"""
    parts = []
    for block in sorted(blocks):
        if parts and parts[-1][1] == block - 1:
            parts[-1][1] = block
        else:
            parts.append([block, block])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def grouped(names):
    """Names outside blocks unchanged, those in blocks as KIND@RANGES."""
    kinds = collections.defaultdict(list)
    for name in names:
        kind, block = split(name)
        kinds[kind].append(block)
    return {kind: kind if blocks == [None] else f"{kind}@{ranges(blocks)}" for kind, blocks in kinds.items()}


def tensors(sections):
    """Name -> (row length, is a stack)."""
    names = {name for _, exceptions in sections.values() for name in exceptions}
    for name in list(names):
        kind, block = split(name)
        if kind == "ffn_down_exps":
            # Only a middle part of these is ever an exception.
            for other in ("ffn_up_exps", "ffn_gate_exps"):
                if any(split(found)[0] == other for found in names):
                    names.add(f"blk.{block}.{other}.weight")
    # In a mix of Q6_K, rows that its blocks do not divide become Q8_0.
    short = {name for name, kind in sections["q6_k"][1].items() if kind == "q8_0"}
    flat = sections["mxfp4_moe"][1]
    return {name: (32 if name in short else 256, name not in flat) for name in names}


def main():
    lines = [
        "# The types that llama-quantize chooses, from tests/snapshots of llama.cpp (MIT licence, Copyright (c) 2023-2026 The ggml authors),",
        "# packed by make_mix_fixtures.py. For each model a line 'model NAME ARCHITECTURE blocks heads sharedHeads experts', lines",
        "# 'tensors ROW_LENGTH STACKED NAMES', and for each mix its name, the common type, and the exceptions as TYPE=NAMES.",
        "# NAMES are joined by ':', and those of a block are KIND@RANGES."]
    for path in sorted((pathlib.Path(sys.argv[1]) / "tests/snapshots").glob("*.schema")):
        numbers, sections = read(path)
        keys = [numbers[key] for key in ("n_layer", "n_head", "n_head_kv")] + [numbers.get("n_expert", 0)]
        lines.append(" ".join(["model", path.stem, ARCHITECTURES[path.stem], *map(str, keys)]))
        shapes = collections.defaultdict(list)
        for name, shape in tensors(sections).items():
            shapes[shape].append(name)
        for (length, stacked), names in sorted(shapes.items()):
            lines.append(f"tensors {length} {int(stacked)} " + ":".join(value for _, value in sorted(grouped(names).items())))
        for name, (base, exceptions) in sections.items():
            by_type = collections.defaultdict(list)
            for tensor, kind in exceptions.items():
                by_type[kind].append(tensor)
            words = [f"{kind}=" + ":".join(value for _, value in sorted(grouped(names).items())) for kind, names in sorted(by_type.items())]
            lines.append(" ".join([name, base, *words]))
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
