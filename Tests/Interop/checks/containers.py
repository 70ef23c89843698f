"""Folders as GPTQ, AWQ and compressed-tensors: the libraries that own these packings read what qconvert reads, both from codes that it
rounded and from codes that it repacked from their own checkpoints."""
import functools
import json
import shutil

import numpy
import torch
from safetensors.torch import load_file, save_file

from checks.folders import both_logits, stored
from checks.logits import deviation, own_logits
from checks.simulation import one_block
from clients import GPTQMODEL, WORK, convert, shared
from models import TINY_LLAMA, vocabulary_size
from registry import check, require

# Packing and scheme.
ROUNDED = [
    ("gptq", "int4-g128"), ("gptq_v2", "int4-g128-asym"), ("awq", "int4-g128-asym"), ("gptq", "int3-g64"), ("gptq", "int8-g64"),
    ("gptq_v2", "int2-g32-asym"), ("gptq", "int4-g32-asym"),
]
# Checkpoints of other tools, and the packings that can hold their codes.
MOVED = [
    ("gptqmodel-gptq4", "gptq_v2"), ("gptqmodel-gptq4", "awq"), ("autoawq-w4", "gptq_v2"), ("ct-rtn-w4a16-asym", "awq"),
    ("gptqmodel-gptq3", "gptq_v2"), ("autoround-w4", "gptq"), ("autoawq-w4", "pack-quantized"), ("gptqmodel-gptq3", "pack-quantized"),
]


@functools.cache
def packed(packing, scheme):
    return convert(
        TINY_LLAMA, WORK / f"tiny-llama-{packing}-{scheme}", "--scheme", scheme, "--tensor", "lm_head.weight=bf16", "--packing", packing)


@functools.cache
def moved(name, packing):
    return convert(shared(f"golden/{name}"), WORK / f"{name}-{packing}", "--packing", packing)


def weights(folder):
    """Every quantized weight as GPTQModel and as qconvert read it."""
    out = WORK / f"{folder.name}.weights"
    GPTQMODEL.ask("weights", folder=folder, out=out)
    return load_file(out), stored(convert(folder, WORK / f"{folder.name}-f32", "--scheme", "f32", "--force"))


def require_equal(theirs, ours):
    for name, expected in theirs.items():
        require(torch.equal(ours[name], expected), f"{name}: weights differ")
    return f"{len(theirs)} weights"


@check("{} unpacked by GPTQModel equals what qconvert reads", ROUNDED[:3], slow_cases=ROUNDED[3:])
def unpacked(case):
    theirs, ours = weights(packed(*case))
    require(len(theirs) == 7 * 8, f"{len(theirs)} packed weights instead of {7 * 8}")
    return require_equal(theirs, ours)


@check("{}, repacked, unpacked by GPTQModel equals what its tool meant", MOVED[:2], slow_cases=MOVED[2:6])
def unpacked_moved(case):
    theirs, _ = weights(moved(*case))
    source = stored(convert(shared(f"golden/{case[0]}"), WORK / f"{case[0]}-source-f32", "--scheme", "f32", "--force"))
    return require_equal(theirs, source)


# Checkpoints in GPTQ's packing and in others, whose codes all of these packings can hold.
AROUND = ["gptqmodel-gptq4-v2", "gptqmodel-gptq4-asym", "autoawq-w4"]


@check("{}: repacked from gptq_v2 to AWQ, to compressed-tensors and back, it has the original bytes", AROUND)
def around(name):
    start = shared(f"golden/{name}") if name.endswith("v2") else moved(name, "gptq_v2")
    folder = start
    for packing in ("awq", "pack-quantized", "gptq_v2"):
        folder = convert(folder, WORK / f"around-{name}-{packing}", "--packing", packing)
    first, last = stored(start), stored(folder)
    require(first.keys() == last.keys(), f"other tensors: {sorted(first.keys() ^ last.keys())[:4]}")
    for name, tensor in first.items():
        require(tensor.dtype == last[name].dtype and tensor.shape == last[name].shape, f"{name}: type or shape differs")
        require(torch.equal(tensor.flatten().view(torch.uint8), last[name].flatten().view(torch.uint8)), f"{name}: bytes differ")
    return f"{len(first)} tensors"


@functools.cache
def one_sided():
    """A model of one block with only positive weights in some rows, whose zero points are 0."""
    folder = WORK / "one-sided"
    shutil.copytree(one_block(), folder)
    tensors = stored(folder)
    for name, tensor in tensors.items():
        if "_proj." in name:
            tensor[::3] = tensor[::3].abs()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


@check("gptq with zero points of 0, {}: GPTQModel and transformers read what qconvert does", ["int4-g32-asym"], slow_cases=[
    "int2-g32-asym", "int3-g32-asym", "int8-g32-asym"])
def wrapped_zeros(scheme):
    """They are stored minus one, and so wrap around."""
    folder = convert(
        one_sided(), WORK / f"one-sided-{scheme}", "--scheme", scheme, "--tensor", "lm_head.weight=bf16", "--packing", "gptq")
    theirs, ours = weights(folder)
    require(all((ours[name][::3] >= 0).all() for name in theirs), "zero points are not 0")
    return f"{require_equal(theirs, ours)}, logits {transformers_deviation(folder)}"


def transformers_deviation(folder):
    """How far logits by transformers, with GPTQModel's kernels and in bfloat16, are from qconvert's."""
    torch.manual_seed(3)
    ids, out = WORK / "containers.ids", WORK / "containers.f32"
    tokens = torch.randint(0, vocabulary_size(folder), (64,)).tolist()
    ids.write_text(" ".join(map(str, tokens)))
    GPTQMODEL.ask("logits", folder=folder, ids=tokens, out=out)
    measured = deviation(own_logits(folder, ids), torch.from_numpy(numpy.fromfile(out, "<f4")))
    require(measured < 2e-2, f"deviation {measured:.1e}, which is more than that of bfloat16")
    return f"{measured:.1e}"


@check("{} in transformers gives qconvert's logits", [("gptq", "int4-g128"), ("awq", "int4-g128-asym")], slow_cases=ROUNDED[3:])
def loads(case):
    return f"{transformers_deviation(packed(*case))} (theirs in bfloat16)"


# What the profile of transformers refuses in GPTQ's packing.
MISREAD = {
    "a layer left alone": "*layers.0.mlp.up_proj.*=bf16", "a layer of another scheme": "*layers.0.mlp.up_proj.*=int8-g128",
    "the output matrix": "lm_head.weight=int4-g128",
}


@check("transformers does not compute with {} in GPTQ's packing, as its profile says", (), slow_cases=MISREAD)
def misread(name):
    folder = convert(
        TINY_LLAMA, WORK / f"misread-{name.replace(' ', '-')}", "--scheme", "int4-g128", "--tensor", MISREAD[name], "--packing", "gptq")
    try:
        found = transformers_deviation(folder)
    except (AssertionError, RuntimeError) as error:
        return str(error).splitlines()[0][:100]
    raise AssertionError(f"deviation {found}")


@check("{} in transformers gives qconvert's logits of repacked codes", MOVED[6:7])
def moved_loads(case):
    folder = moved(*case)
    config = json.loads((folder / "config.json").read_text())["quantization_config"]
    require(config["format"] == "pack-quantized", f"format {config['format']}")
    measured = deviation(*both_logits(folder))
    require(measured < 1e-4, f"deviation {measured:.1e}")
    return f"{measured:.1e}"
