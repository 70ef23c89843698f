#!/usr/bin/env python3
"""bytes.py QCONVERT OUT.tsv [--compare OLD.tsv] [--only REGEX] [--jobs N]: converts the fixtures in every way, one hash per output.

To check that a change leaves every output as it was, run this with the program from before the change and the one from after it:

    Tests/Structure/bytes.py before/qconvert before.tsv
    Tests/Structure/bytes.py .build/release/qconvert after.tsv --compare before.tsv

The second call lists every row that differs, and exits with 1 if there is one. Only Python's standard library is needed. Each row
runs with one thread; --jobs runs N rows at a time. --only makes and compares only the rows whose names match the expression, and
those named `start/`, whose outputs other rows read.

Inputs are copies of Tests/Fixtures, models that this script cuts or widens from them, and the outputs of the rows named `start/`.
If ../shared exists beside the checkout, its models, its folders written by other tools and its tokenizers are converted too; the
first line of OUT.tsv says whether they were. --compare counts rows that are missing for want of ../shared, but does not fail.

Columns: name; exit code; bytes; SHA-256 over the names and contents of all files of the output, metadata included; SHA-256 of the
result document without times and memory; the message of a refused conversion; arguments. Methods with calibration give the same
bytes only on processors with the same vector units, so make both files on one machine.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import platform
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "Tests" / "Fixtures"
SHARED = ROOT.parent / "shared"
COLUMNS = ("name", "exit", "bytes", "files", "report", "message", "arguments")

# Presets that llama-quantize knows, block types, and those that need importance.
MIXES = """f32 bf16 f16 q8_0 q6_k q5_k_m q5_k_s q5_1 q5_0 q4_k_m q4_k_s q4_1 q4_0 iq4_nl iq4_xs mxfp4_moe q3_k_l q3_k_m q3_k_s iq3_m
iq3_s iq3_xs iq3_xxs q2_k q2_k_s q2_0 tq2_0 tq1_0 q1_0 iq2_m iq2_s iq2_xs iq2_xxs iq1_m iq1_s""".split()
BLOCKS = """q8_0 q4_0 q4_1 q5_0 q5_1 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs tq1_0 tq2_0 q1_0 q2_0 mxfp4-ggml nvfp4-ggml iq1_s iq1_m
iq2_xxs iq2_xs iq2_s iq3_xxs iq3_s mxfp4 nvfp4""".split()
SEARCHED = "q4_0 q4_1 q5_0 q5_1 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs tq1_0 tq2_0 q1_0 q2_0".split()
PRESETS = """w4a16 w8a16 w8a8 w8a8-static w4a8 fp8 fp8-static fp8-block nvfp4 nvfp4a16 mxfp4a16 mxfp8a16 zeroquant-w4a8
zeroquant-w4a16""".split()
INTEGERS = [f"int{bits}-{group}{zero}" for bits in range(2, 9) for group in ("g32", "g128", "channel") for zero in ("", "-asym")]
FLOATS = """fp8-channel fp8-tensor fp8-block64 fp8-block128 fp8-block128-e8m0 fp8e5m2-channel fp8e5m2-block128 fp8e5m2-tensor mxfp4
mxfp8 nvfp4 nf4 fp4 nf4-g32 fp4-g128 nf4-double fp4-double nf4-g128-double fp4-g32-double llm-int8""".split()
PACKINGS = """plain pack-quantized int-quantized float-quantized gptq gptq_v2 awq nvfp4-pack-quantized mxfp4-pack-quantized
mxfp8-quantized fp8 fp8-block modelopt-fp8 modelopt-nvfp4 gpt-oss bitsandbytes hqq torchao gguf gguf-float""".split()
PACKED = """int4-g128 int4-g128-asym int4-g32 int3-g128 int2-g32-asym int8-channel int8-g128 fp8-channel fp8-tensor fp8-block128
fp8-block128-e8m0 nvfp4 mxfp4 mxfp8 nf4 llm-int8""".split()
# What the rows that move codes start from.
SOURCES = list(dict.fromkeys(PRESETS + PACKED))
ACTIVATIONS = """none int8-token int4-token fp8-token int8-g64 int8-tensor-dynamic fp8-g128 int8-tensor int8-tensor-asym int4-tensor
fp8-tensor fp8-tensor-dynamic int8-token-asym nvfp4""".split()
CLIENTS = "vllm transformers llama.cpp gptqmodel vllm@0.10".split()
METHODS = {
    "rtn": ("rtn",),
    "awq": ("awq:grid=4",),
    "awq-scale": ("awq:grid=4,clip=off,duo=off",),
    "awq-clip": ("awq:scale=off,importance=off",),
    "gptq": ("gptq",),
    "gptq-plain": ("gptq:order=plain,damp=0.05",),
    "gptq-block": ("gptq:order=block,importance=off",),
    "gptq-static": ("gptq:order=static,values=bf16",),
    "gptq-correct": ("gptq:correct=0.5",),
    "smoothquant": ("smoothquant",),
    "smoothquant-auto": ("smoothquant:alpha=auto",),
    "zeroquant": ("zeroquant",),
    "awq+gptq": ("awq:grid=4", "gptq"),
    "smoothquant+gptq": ("smoothquant:alpha=0.8", "gptq"),
    "smoothquant+awq": ("smoothquant", "awq:grid=4"),
}
BASES = {
    "llama": "llama3-rope", "llama-second": "llama3-rope", "llama-patterns": "llama-biases", "mistral-head": "mistral-window",
    "qwen2": "qwen2", "qwen3-outer": "qwen3", "mixtral": "mixtral", "gpt2": "gpt2", "bloom": "bloom", "opt": "opt",
    "opt-projected": "opt-post-norm",
}
FEW = ("--samples", "4", "--context", "64")
TEXT = ("--calibration", "in/text.txt")
# Slow block types are used for the blocks only: embedding and output are most of a cut model.
ENDS_PLAIN = ("--embedding-scheme", "q8_0", "--output-scheme", "q8_0")


def stored(path):
    """The tensors of a safetensors file: {name: (type, shape, bytes)}."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    return {
        name: (entry["dtype"], entry["shape"], content[8 + length + entry["data_offsets"][0]:8 + length + entry["data_offsets"][1]])
        for name, entry in header.items()
    }


def store(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, (kind, shape, content) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + len(content)]}
        offset += len(content)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        out.writelines(content for _, _, content in tensors.values())


def byte_tokenizer():
    """A tokenizer of 96 tokens, for the models of Fixtures/engine: the printable characters of ASCII."""
    tokens = ["\u0120"] + [chr(code) for code in range(0x21, 0x7f)] + ["<s>"]
    spelling = {"type": "ByteLevel", "add_prefix_space": False}
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return {
        "version": "1.0", "pre_tokenizer": spelling, "decoder": spelling, "model": {"type": "BPE", "vocab": vocabulary, "merges": []}
    }


def cut(source, target, blocks):
    """The first blocks of tiny-llama."""
    target.mkdir()
    tensors = {}
    for path in sorted(source.glob("*.safetensors")):
        tensors |= stored(path)
    kept = {
        name: tensor for name, tensor in tensors.items()
        if not (found := re.search(r"\.layers\.(\d+)\.", name)) or int(found.group(1)) < blocks
    }
    store(target / "model.safetensors", kept)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copyfile(source / name, target / name)
    configuration = json.loads((source / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(configuration | {"num_hidden_layers": blocks}))


# Random BF16 numbers: the upper byte is one of these, so that magnitudes lie between 1/512 and 1/16.
UPPER = bytes(((0x3b, 0xbb, 0x3c, 0xbc, 0x3d, 0xbd, 0x3c, 0xbc)[value % 8]) for value in range(256))


def random_weights(count, source):
    content = bytearray(source.randbytes(2 * count))
    content[1::2] = bytes(content[1::2]).translate(UPPER)
    return bytes(content)


def widened(source, target, factor=8):
    """A model of Fixtures/engine with layers that many times as wide, of random weights, so that its rows fill super-blocks."""
    target.mkdir()
    configuration, tensors = json.loads((source / "config.json").read_text()), {}
    for key in ("hidden_size", "intermediate_size", "n_embd", "ffn_dim", "word_embed_proj_dim", "head_dim"):
        if isinstance(configuration.get(key), int):
            configuration[key] *= factor
    generator = random.Random(source.name)
    for name, (kind, shape, _) in stored(source / "model.safetensors").items():
        is_table = re.search(r"embed_tokens|lm_head|embed_positions|wte|wpe|word_embeddings\.|moe\.gate", name)
        wide = [size if place == 0 and is_table else size * factor for place, size in enumerate(shape)]
        count = wide[0] * (wide[1] if len(wide) > 1 else 1)
        is_gain = len(wide) == 1 and "norm" in name.lower() + ("norm" if ".ln_" in name else "") and name.endswith("weight")
        tensors[name] = (kind, wide, b"\x80\x3f" * count if is_gain else random_weights(count, generator))
    store(target / "model.safetensors", tensors)
    (target / "config.json").write_text(json.dumps(configuration))
    (target / "tokenizer.json").write_text(json.dumps(byte_tokenizer()))


def with_vocabulary(source, tokenizer, target):
    """A Llama of Fixtures/engine with rows of embedding and output for every token of a tokenizer."""
    target.mkdir()
    for path in tokenizer.iterdir():
        if path.is_file() and path.suffix in (".json", ".model", ".txt") and path.name != "config.json":
            shutil.copyfile(path, target / path.name)
    size = 0
    if (tokenizer / "tokenizer.json").exists():
        document = json.loads((tokenizer / "tokenizer.json").read_text())
        vocabulary = document["model"].get("vocab", {})
        ids = [entry["id"] for entry in document.get("added_tokens", [])]
        ids += vocabulary.values() if isinstance(vocabulary, dict) else [len(vocabulary) - 1]
        size = max(ids) + 1
    elif (tokenizer / "vocab.json").exists():
        size = max(json.loads((tokenizer / "vocab.json").read_text()).values()) + 1
    elif (tokenizer / "tokenizer.model").exists():
        size = 700 if tokenizer.name == "sentencepiece" else 32768
    else:
        size = 1000
    tensors, generator = stored(source / "model.safetensors"), random.Random(tokenizer.name)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = ("BF16", [size, 32], random_weights(size * 32, generator))
    store(target / "model.safetensors", tensors)
    configuration = json.loads((source / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(configuration | {"vocab_size": size}))


def prepare(inputs):
    """Everything that rows read, below `in`."""
    inputs.mkdir()
    shutil.copytree(FIXTURES / "models" / "tiny-llama", inputs / "tiny-llama")
    cut(inputs / "tiny-llama", inputs / "short", 2)
    (inputs / "text.txt").write_bytes((FIXTURES / "text" / "evaluation.txt").read_bytes()[:20_000])
    for source in sorted(path for path in (FIXTURES / "engine").iterdir() if path.is_dir()):
        target = inputs / f"engine-{source.name}"
        target.mkdir()
        for name in ("config.json", "model.safetensors"):
            shutil.copyfile(source / name, target / name)
        (target / "tokenizer.json").write_text(json.dumps(byte_tokenizer()))
        widened(source, inputs / f"wide-{source.name}")
    for source in sorted(path for path in (FIXTURES / "adapters").iterdir() if path.is_dir()):
        target = inputs / f"lora-{source.name}"
        target.mkdir()
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            shutil.copyfile(source / name, target / name)
    shutil.copytree(FIXTURES / "pytorch", inputs / "pytorch")
    tokenizers = sorted((FIXTURES / "tokenizers").iterdir())
    if SHARED.is_dir():
        for kind in ("models", "golden"):
            for source in sorted(path for path in (SHARED / kind).iterdir() if path.is_dir()):
                shutil.copytree(source, inputs / f"{kind}-{source.name}")
        tokenizers += sorted(path for path in (SHARED / "tokenizers").iterdir() if path.is_dir())
    for tokenizer in tokenizers:
        with_vocabulary(FIXTURES / "engine" / "llama3-rope", tokenizer, inputs / f"tokens-{tokenizer.name}")


class Row:
    def __init__(self, name, *arguments, out="out", makes=None):
        self.name, self.out, self.makes = name, out, makes
        command = [] if arguments[0] in ("calibrate", "plan") else ["convert"]
        self.arguments = [*command, *(out if part is Row else str(part) for part in arguments)]

    def inputs(self):
        return [part.split(":")[0] for part in self.arguments if part.startswith("in/")]


OUT = Row  # stands for the output's name among the arguments of a row


def methods(names):
    return [(name, [part for method in METHODS[name] for part in ("--plugin", method)]) for name in names]


def names(inputs, prefix):
    return sorted(path.name for path in inputs.iterdir() if path.is_dir() and path.name.startswith(prefix))


def starts(inputs):
    """Rows whose outputs other rows read."""
    yield Row("start/importance.gguf", "calibrate", "in/short", OUT, *FEW, *TEXT, out="importance.gguf", makes="importance.gguf")
    yield Row("start/importance.dat", "calibrate", "in/short", OUT, *FEW, *TEXT, out="importance.dat", makes="importance.dat")
    yield Row("start/statistics", "calibrate", "in/short", OUT, *FEW, *TEXT, out="short.stats", makes="short.stats")
    for scheme in ("f32", "bf16", "q8_0", "q4_k_m", "q4_0"):
        yield Row(f"start/short.{scheme}.gguf", "in/short", OUT, "--scheme", scheme, out="out.gguf", makes=f"short.{scheme}.gguf")
    for scheme in SOURCES:
        yield Row(f"start/short-{scheme}", "in/short", OUT, "--scheme", scheme, *FEW, makes=f"short-{scheme}")
    for model in [*names(inputs, "engine-"), *names(inputs, "wide-")]:
        yield Row(f"start/{model}.gguf", f"in/{model}", OUT, "--scheme", "bf16", out="out.gguf", makes=f"{model}.gguf")
    for adapter, base in BASES.items():
        source = f"in/lora-{adapter}"
        yield Row(f"start/{adapter}.gguf", source, OUT, "--base", f"in/engine-{base}", out="out.gguf", makes=f"lora-{adapter}.gguf")


def block_rows():
    """Into GGUF: every mix of the whole small model, every block type with and without importance and with the wider search."""
    importance = ("--importance", "in/importance.gguf")
    for mix in MIXES:
        if not mix.startswith(("iq1", "iq2", "iq3")):
            yield Row(f"mix/tiny-llama/{mix}", "in/tiny-llama", OUT, "--scheme", mix, out="out.gguf")
        yield Row(f"mix/short/{mix}", "in/short", OUT, "--scheme", mix, out="out.gguf")
        yield Row(f"mix/importance/{mix}", "in/short", OUT, "--scheme", mix, *importance, out="out.gguf")
    for block in BLOCKS:
        ends = ENDS_PLAIN if block.startswith("iq") else ()
        pure = ("in/short", OUT, "--pure", "--scheme", block)
        yield Row(f"blocks/{block}", *pure, *ends, out="out.gguf")
        yield Row(f"blocks/importance/{block}", *pure, *ENDS_PLAIN, *importance, out="out.gguf")
    for block in SEARCHED:
        best = ("in/short", OUT, "--pure", "--scheme", block, "--search", "best", *ENDS_PLAIN)
        yield Row(f"blocks/best/{block}", *best, out="out.gguf")
        yield Row(f"blocks/best-importance/{block}", *best, *importance, out="out.gguf")
    old = ("in/short", OUT, "--scheme", "q4_k_m", "--importance", "in/importance.dat")
    yield Row("importance/dat", *old, out="out.gguf")
    yield Row("importance/included", *old, "--include-weights", "ffn_up", out="out.gguf")
    yield Row("importance/excluded", *old, "--exclude-weights", "attn_v", out="out.gguf")


def folder_rows():
    """Into folders and lone files: every scheme, every preset, packings, clients, activations."""
    for scheme in [*INTEGERS, *FLOATS, "f32", "f16", "bf16", "keep"]:
        yield Row(f"folder/{scheme}", "in/short", OUT, "--scheme", scheme)
    for preset in PRESETS:
        yield Row(f"preset/{preset}", "in/tiny-llama", OUT, "--scheme", preset, *FEW)
        yield Row(f"lone/{preset}", "in/short", OUT, "--scheme", preset, *FEW, out="out.safetensors")
        for client in CLIENTS:
            yield Row(f"client/{client}/{preset}", "in/short", OUT, "--scheme", preset, "--for", client, *FEW)
        yield Row(f"kv/{preset}", "in/short", OUT, "--scheme", preset, "--kv-cache", "fp8", *FEW)
        for chain, plugins in methods(["gptq", "awq", "smoothquant", "smoothquant+gptq"]):
            yield Row(f"preset/{preset}/{chain}", "in/short", OUT, "--scheme", preset, *plugins, *FEW)
    for scheme in ("f32", "f16", "bf16", "keep", "int4-g128", "fp8-channel", "nf4", "llm-int8"):
        yield Row(f"lone/{scheme}", "in/short", OUT, "--scheme", scheme, out="out.safetensors")
    for scheme in PACKED:
        for packing in PACKINGS:
            yield Row(f"packing/{packing}/{scheme}", "in/short", OUT, "--scheme", scheme, "--packing", packing)
    for activations in ACTIVATIONS:
        for scheme in ("int8-channel", "fp8-channel", "fp8-tensor", "nvfp4"):
            options = ("--scheme", scheme, "--activations", activations)
            yield Row(f"activations/{activations}/{scheme}", "in/short", OUT, *options, *FEW)
    for calibrator in ("minmax", "percentile", "percentile:99.9", "entropy", "mse"):
        for preset in ("w8a8-static", "fp8-static", "nvfp4"):
            yield Row(f"calibrator/{calibrator}/{preset}", "in/short", OUT, "--scheme", preset, "--calibrator", calibrator, *FEW)


def method_rows():
    """Every method and chain on every kind of target, and the ways to calibrate."""
    for name, plugins in methods(METHODS):
        for scheme in "w4a16 w8a8 int4-g128-asym int3-g128 fp8-static fp8-block nvfp4 mxfp4 nf4 zeroquant-w4a8 f32".split():
            yield Row(f"method/{name}/{scheme}", "in/short", OUT, "--scheme", scheme, *plugins, *FEW)
        for scheme in "q8_0 q4_0 q4_k q6_k iq4_nl".split():
            options = ("--scheme", scheme, "--pure", *ENDS_PLAIN, *plugins, *FEW)
            yield Row(f"method/{name}/{scheme}.gguf", "in/short", OUT, *options, out="out.gguf")
    for scheme in "q4_k_m q2_k q3_k q5_k iq4_xs q4_1 q5_0 q5_1 tq2_0 mxfp4 nvfp4 iq3_s".split():
        for name, plugins in methods(["gptq", "awq-scale"]):
            options = ("--scheme", scheme, "--pure", *ENDS_PLAIN, *plugins, *FEW)
            yield Row(f"method/{name}/{scheme}.gguf", "in/short", OUT, *options, out="out.gguf")
    few = ("--samples", "3", "--context", "48")
    calibrations = {
        "text": (*FEW, *TEXT), "seed": (*FEW, "--seed", "7"), "bos": (*FEW, "--bos", "on"), "original": (*FEW, "--propagate", "original"),
        "quantized": (*FEW, "--propagate", "quantized"), "sequential": (*FEW, "--true-sequential"),
        "bf16": (*FEW, "--products", "bf16"), "statistics": ("--stats", "in/short.stats"), "fewer": few,
    }
    for name, options in calibrations.items():
        for chain, plugins in methods(["awq", "gptq", "awq+gptq", "smoothquant"]):
            yield Row(f"calibration/{name}/{chain}", "in/short", OUT, "--scheme", "w4a16", *plugins, *options)
            yield Row(f"calibration/{name}/{chain}.gguf", "in/short", OUT, "--scheme", "q4_0", *ENDS_PLAIN, *plugins, *options, out="out.gguf")
    for name, plugins in methods(["gptq", "awq", "smoothquant"]):
        for scheme in ("w4a16", "w8a8"):
            yield Row(f"whole/{name}/{scheme}", "in/tiny-llama", OUT, "--scheme", scheme, *plugins, *FEW)
        yield Row(f"whole/{name}/q4_0.gguf", "in/tiny-llama", OUT, "--scheme", "q4_0", *plugins, *FEW, out="out.gguf")


def family_rows(inputs):
    """Every family in both containers, narrow and wide."""
    few = ("--samples", "8", "--context", "32", *TEXT)
    for model in names(inputs, "engine-"):
        for scheme in "f32 bf16 f16 keep int4-g4 int8-channel fp8-channel nf4 llm-int8 w8a8 w4a16".split():
            yield Row(f"family/{model}/{scheme}", f"in/{model}", OUT, "--scheme", scheme, *few)
        for scheme in "f32 f16 q8_0 q4_0 q5_1 q4_k_m iq4_nl".split():
            yield Row(f"family/{model}/{scheme}.gguf", f"in/{model}", OUT, "--scheme", scheme, out="out.gguf")
            yield Row(f"family/{model}.gguf/{scheme}.gguf", f"in/{model}.gguf", OUT, "--scheme", scheme, out="out.gguf")
        for scheme in "f32 bf16 keep int8-channel".split():
            yield Row(f"family/{model}.gguf/{scheme}", f"in/{model}.gguf", OUT, "--scheme", scheme)
        yield Row(f"family/{model}/dropped", f"in/{model}", OUT, "--scheme", "f32", "--drop-blocks", "0")
        yield Row(f"family/{model}/dropped.gguf", f"in/{model}", OUT, "--scheme", "f32", "--drop-blocks", "1", out="out.gguf")
        for name, plugins in methods(["gptq", "awq", "smoothquant", "awq+gptq", "gptq-correct"]):
            yield Row(f"family/{model}/{name}", f"in/{model}", OUT, "--scheme", "int4-g4", *plugins, *few)
            yield Row(f"family/{model}/{name}.gguf", f"in/{model}", OUT, "--scheme", "q4_0", *plugins, *few, out="out.gguf")
            yield Row(f"family/{model}.gguf/{name}.gguf", f"in/{model}.gguf", OUT, "--scheme", "q4_0", *plugins, *few, out="out.gguf")
        yield Row(f"family/{model}/static", f"in/{model}", OUT, "--scheme", "w8a8-static", "--kv-cache", "fp8", *few)
        yield Row(f"family/{model}/importance", "calibrate", f"in/{model}", OUT, *few, out="out.gguf")
    for model in names(inputs, "wide-"):
        for preset in PRESETS:
            yield Row(f"wide/{model}/{preset}", f"in/{model}", OUT, "--scheme", preset, "--samples", "2", "--context", "32", *TEXT)
        for packing, scheme in (("gptq", "int4-g128"), ("awq", "int4-g128-asym"), ("fp8", "fp8-tensor"), ("bitsandbytes", "nf4"),
                                ("gpt-oss", "mxfp4")):
            yield Row(f"wide/{model}/packed-{packing}", f"in/{model}", OUT, "--scheme", scheme, "--packing", packing)
        for scheme in "q4_k_m q2_k q3_k_m q5_k_s q6_k iq4_xs iq3_s mxfp4_moe mxfp4 nvfp4 tq1_0 q1_0".split():
            yield Row(f"wide/{model}/{scheme}.gguf", f"in/{model}", OUT, "--scheme", scheme, out="out.gguf")
        yield Row(f"wide/{model}.gguf/w4a16", f"in/{model}.gguf", OUT, "--scheme", "w4a16")
        yield Row(f"wide/{model}.gguf/q4_k_m.gguf", f"in/{model}.gguf", OUT, "--scheme", "q4_k_m", out="out.gguf")


def move_rows():
    """Codes from one container into another, GGUF edited, files split."""
    for source in SOURCES:
        for packing in ("plain", "pack-quantized", "int-quantized", "float-quantized", "gptq", "gptq_v2", "awq", "fp8", "fp8-block",
                        "modelopt-fp8", "modelopt-nvfp4", "nvfp4-pack-quantized"):
            yield Row(f"move/{source}/{packing}", f"in/short-{source}", OUT, "--packing", packing)
        for scheme in ("keep", "bf16", "f32"):
            yield Row(f"move/{source}/{scheme}", f"in/short-{source}", OUT, "--scheme", scheme)
        for scheme in ("keep", "q4_0", "q4_1", "q8_0", "f16", "mxfp4", "nvfp4"):
            yield Row(f"move/{source}/{scheme}.gguf", f"in/short-{source}", OUT, "--scheme", scheme, out="out.gguf")
        yield Row(f"move/{source}/again", f"in/short-{source}", OUT, "--scheme", "int4-g32", "--allow-requantize")
    for source in ("f32", "bf16", "q8_0", "q4_k_m", "q4_0"):
        gguf = f"in/short.{source}.gguf"
        for scheme in ("keep", "bf16", "f16", "w4a16", "int8-channel", "fp8-channel", "nf4", "int4-g32", "w8a8"):
            yield Row(f"gguf/{source}/{scheme}", gguf, OUT, "--scheme", scheme)
        yield Row(f"gguf/{source}/bf16.safetensors", gguf, OUT, "--scheme", "bf16", out="out.safetensors")
        for scheme in ("keep", "f32", "q8_0", "q4_k_m", "q3_k_s", "iq4_xs"):
            yield Row(f"gguf/{source}/{scheme}.gguf", gguf, OUT, "--scheme", scheme, out="out.gguf")
            yield Row(f"gguf/{source}/{scheme}-again.gguf", gguf, OUT, "--scheme", scheme, "--allow-requantize", out="out.gguf")
    file, folder = "in/short.bf16.gguf", "in/short"
    edits = {
        "set": ("--set-meta", "general.name=str:Small", "--set-meta", "test.list=u32:7"),
        "drop": ("--drop-meta", "general.name"),
        "override": ("--override-kv", "llama.context_length=int:128"),
        "keep": ("--keep", "*attn_v*"),
        "tensor": ("--tensor", "*ffn_down*=q6_k", "--tensor", "re:attn_[qk]=q5_0"),
        "type": ("--tensor-type", "attn_v=q5_1"),
        "leave": ("--leave-output-tensor",),
        "embedding": ("--embedding-scheme", "q5_0", "--output-scheme", "q6_k"),
        "pure": ("--pure",),
        "dropped": ("--drop-blocks", "1"),
        "split": ("--shard-size", "500KB"),
        "split-large": ("--split-max-size", "2MiB"),
        "keep-split": ("--keep-split",),
        "alignment": ("--set-meta", "general.alignment=u32:64"),
    }
    for name, options in edits.items():
        for kind, source in (("folder", folder), ("gguf", file), ("shards", "in/tiny-llama")):
            yield Row(f"edit/{kind}/{name}.gguf", source, OUT, "--scheme", "q4_0", *options, out="out.gguf")
    edits = {
        "keep": ("--keep", "*v_proj*"), "tensor": ("--tensor", "*down_proj*=int8-channel"), "head": ("--tensor", "lm_head.weight=int4-g64"),
        "dropped": ("--drop-blocks", "0"), "split": ("--shard-size", "500KB"), "split-large": ("--shard-size", "3MB"),
        "keep-split": ("--keep-split",), "embedding": ("--embedding-scheme", "int4-g128"),
    }
    for name, options in edits.items():
        for kind, source in (("folder", folder), ("gguf", file), ("shards", "in/tiny-llama")):
            yield Row(f"edit/{kind}/{name}", source, OUT, "--scheme", "w4a16", *options)
            yield Row(f"edit/{kind}/{name}-plain", source, OUT, "--scheme", "bf16", *options)


def adapter_rows():
    for adapter, base in BASES.items():
        model, lora = f"in/engine-{base}", f"in/lora-{adapter}"
        for scheme in ("f32", "bf16", "int4-g4"):
            yield Row(f"adapter/{adapter}/{scheme}", model, OUT, "--scheme", scheme, "--lora", lora)
            yield Row(f"adapter/{adapter}/half-{scheme}", model, OUT, "--scheme", scheme, "--lora", f"{lora}:0.5")
        for scheme in ("f32", "q8_0"):
            yield Row(f"adapter/{adapter}/{scheme}.gguf", model, OUT, "--scheme", scheme, "--lora", lora, out="out.gguf")
            yield Row(f"adapter/{adapter}/{scheme}-from.gguf", f"{model}.gguf", OUT, "--scheme", scheme, "--lora", lora, out="out.gguf")
        yield Row(f"adapter/{adapter}.gguf/f32", model, OUT, "--scheme", "f32", "--lora", f"{lora}.gguf")
        yield Row(f"adapter/{adapter}.gguf/folder", f"{lora}.gguf", OUT, "--base", model)
        yield Row(f"adapter/{adapter}.gguf/lone", f"{lora}.gguf", OUT, out="out.gguf")
        yield Row(f"adapter/{adapter}/folder", lora, OUT)
        yield Row(f"adapter/{adapter}/f16.gguf", lora, OUT, "--base", model, "--scheme", "f16", out="out.gguf")
        yield Row(f"adapter/{adapter}/folder-f16", lora, OUT, "--scheme", "f16")
    both = ("--lora", "in/lora-llama", "--lora", "in/lora-llama-second:0.25")
    yield Row("adapter/two/f32", "in/engine-llama3-rope", OUT, "--scheme", "f32", *both)
    yield Row("adapter/two/gptq", "in/engine-llama3-rope", OUT, "--scheme", "int4-g16", "--plugin", "gptq", *both, *FEW, *TEXT)


def saved_rows(inputs):
    """Files of torch.save, sound and hostile."""
    for path in sorted((inputs / "pytorch").glob("*/*.bin")):
        for scheme in ("keep", "f32"):
            name = f"saved/{path.parent.name}/{path.stem}/{scheme}"
            yield Row(name, f"in/pytorch/{path.parent.name}/{path.name}", OUT, "--scheme", scheme, out="out.safetensors")


def token_rows(inputs):
    """Tokenizers into GGUF and out of it."""
    for model in names(inputs, "tokens-"):
        yield Row(f"tokens/{model}.gguf", f"in/{model}", OUT, "--scheme", "q8_0", out="out.gguf")
        yield Row(f"tokens/{model}/forced.gguf", f"in/{model}", OUT, "--scheme", "q8_0", "--pre", "gpt-2", out="out.gguf")


def shared_rows(inputs):
    for model in names(inputs, "models-"):
        for scheme in "bf16 w4a16 w8a8 fp8 nvfp4 mxfp4a16 nf4 int4-g32".split():
            yield Row(f"shared/{model}/{scheme}", f"in/{model}", OUT, "--scheme", scheme, *FEW)
        for scheme in "f16 q8_0 q4_k_m q2_k iq4_xs q4_0".split():
            yield Row(f"shared/{model}/{scheme}.gguf", f"in/{model}", OUT, "--scheme", scheme, out="out.gguf")
        drop = ("--drop-blocks", "2,3,4")
        for name, plugins in methods(["gptq", "awq", "smoothquant", "zeroquant", "smoothquant+gptq"]):
            for scheme in ("w4a16", "w8a8"):
                yield Row(f"shared/{model}/{name}/{scheme}", f"in/{model}", OUT, "--scheme", scheme, *plugins, *drop, *FEW)
            yield Row(f"shared/{model}/{name}/q4_0.gguf", f"in/{model}", OUT, "--scheme", "q4_0", *plugins, *drop, *FEW, out="out.gguf")
    for model in names(inputs, "golden-"):
        for packing in PACKINGS:
            yield Row(f"golden/{model}/{packing}", f"in/{model}", OUT, "--packing", packing)
        for scheme in ("keep", "bf16", "f32"):
            yield Row(f"golden/{model}/{scheme}", f"in/{model}", OUT, "--scheme", scheme)
        tokenizer = ("--tokenizer", "in/models-tiny-llama")
        for scheme in ("keep", "q4_0", "q4_1", "q8_0", "f16", "mxfp4", "nvfp4"):
            yield Row(f"golden/{model}/{scheme}.gguf", f"in/{model}", OUT, "--scheme", scheme, *tokenizer, out="out.gguf")
        yield Row(f"golden/{model}/again", f"in/{model}", OUT, "--scheme", "int4-g32", "--allow-requantize")
        yield Row(f"golden/{model}/rounded-again", f"in/{model}", OUT, "--scheme", "int4-g128", "--allow-requantize", "--plugin", "gptq",
                  *tokenizer, *FEW)


def hash_of(paths, folder):
    total, digest = 0, hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode())
        digest.update(content)
        total += len(content)
    return total, digest.hexdigest()


def timeless(document):
    """A result document without what depends on the machine and its load."""
    if isinstance(document, dict):
        without = ("seconds", "cpu_seconds", "peak_memory_bytes")
        return {key: timeless(value) for key, value in document.items() if key not in without}
    return [timeless(value) for value in document] if isinstance(document, list) else document


def run(row, program, work):
    """Runs a row in a folder of its own; returns its columns."""
    place = work / "rows" / re.sub(r"[^\w.-]+", "_", row.name)
    place.mkdir(parents=True)
    (place / "in").symlink_to(work / "in")
    command = [program, *row.arguments, "--threads", "1", "--quiet"]
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)
        code, lines = str(done.returncode), done.stderr.strip().splitlines()
    except subprocess.TimeoutExpired:
        code, lines = "timeout", []
    (place / "in").unlink()
    files = sorted(path for path in place.rglob("*") if path.is_file())
    reports = [path for path in files if path.name.endswith(".qconvert.json")]
    outputs = [path for path in files if path not in reports]
    size, content = hash_of(outputs, place) if outputs else (0, "-")
    documents = [timeless(json.loads(path.read_text())) for path in reports]
    report = hashlib.sha256(json.dumps(documents, sort_keys=True).encode()).hexdigest() if documents else "-"
    message = (lines[0] if lines and code != "0" else "-").replace("\t", " ").replace(str(work), "WORK")
    if row.makes and code == "0":
        shutil.move(place / row.out, work / "in" / row.makes)
    shutil.rmtree(place)
    return row.name, code, str(size), content, report, message, " ".join(row.arguments)


def load(path):
    lines = pathlib.Path(path).read_text().splitlines()
    return {line.split("\t")[0]: line.split("\t") for line in lines if line and not line.startswith("#")}


def compare(new, old, selected, has_shared):
    """Prints what differs; returns how many rows do."""
    different = 0
    for name, row in new.items():
        before = old.get(name)
        if before is None:
            print(f"new        {name}")
        elif row[1:6] != before[1:6]:
            different += 1
            columns = [column for column, a, b in zip(COLUMNS[1:6], before[1:6], row[1:6]) if a != b]
            print(f"different  {name}: {', '.join(columns)}: {' '.join(row[6:])}")
            if before[5] != row[5]:
                print(f"    before: {before[1]} {before[5]}\n    now:    {row[1]} {row[5]}")
    gone = [name for name in old if name not in new and selected(name)]
    absent = [] if has_shared else [name for name in gone if name.startswith(("shared/", "golden/", "tokens/"))]
    for name in set(gone) - set(absent):
        print(f"gone       {name}")
        different += 1
    print(f"{different} of {len(new)} rows are different" + (f"; {len(absent)} need ../shared, which is not here" if absent else ""))
    return different


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("out")
    parser.add_argument("--compare", metavar="OLD.tsv")
    parser.add_argument("--only", metavar="REGEX", default="")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    program = os.path.realpath(options.program)
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    selected, has_shared, begun = re.compile(options.only).search, SHARED.is_dir(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="qconvert-bytes-") as folder:
        work = pathlib.Path(folder)
        prepare(work / "in")
        first = list(starts(work / "in"))
        parts = [
            block_rows(), folder_rows(), method_rows(), family_rows(work / "in"), move_rows(), adapter_rows(), saved_rows(work / "in"),
            token_rows(work / "in"), shared_rows(work / "in"),
        ]
        others = [row for part in parts for row in part if selected(row.name)]
        print(f"{len(first) + len(others)} rows", file=sys.stderr, flush=True)
        counts = collections.Counter(row.name for row in first + others)
        assert max(counts.values()) == 1, f"two rows have one name: {counts.most_common(3)}"
        made, last = {}, begun
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for rows in (first, others):
                # Some models cannot become the GGUF that a row would read; the row that tries to make it records why.
                readable = [row for row in rows if all((work / path).exists() for path in row.inputs())]
                for columns in pool.map(lambda row: run(row, program, work), readable):
                    made[columns[0]] = list(columns)
                    if time.monotonic() - last > 30:
                        last = time.monotonic()
                        print(f"{len(made)} of {len(first) + len(others)} rows, {last - begun:.0f} s", file=sys.stderr, flush=True)
    refused = sum(columns[1] != "0" for columns in made.values())
    summary = f"{len(made)} rows, {refused} of them refused"
    with open(options.out, "w") as out:
        out.write(f"# qconvert {version} on {platform.machine()}; ../shared {'was' if has_shared else 'was not'} there; {summary}\n")
        out.write("# " + "\t".join(COLUMNS) + "\n")
        out.writelines("\t".join(columns) + "\n" for columns in made.values())
    print(f"{summary}, {time.monotonic() - begun:.0f} s")
    strange = [name for name, columns in made.items() if columns[1] in ("timeout", "70") or columns[1].startswith("-")]
    for name in strange:
        print(f"broken     {name}: ended with {made[name][1]}: {made[name][5]}")
    different = compare(made, load(options.compare), selected, has_shared) if options.compare else 0
    sys.exit(1 if different else 0)


main()
