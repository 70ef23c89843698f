"""llm-compressor at work: it rounds to qconvert's bytes, and the transformers of its time computes with qconvert's folders."""
import numpy
import torch

from checks.floats import converted as short_floats
from checks.folders import converted, stored
from checks.logits import deviation, own_logits
from clients import LLMCOMPRESSOR, WORK, convert
from models import TINY_LLAMA, vocabulary_size
from registry import check, require

# Schemes, and llm-compressor's names for them.
PRESETS = {"w4a16": "W4A16", "w8a8": "W8A8", "int8-g128": "W8A16"}


@check("{} by llm-compressor has the bytes of qconvert, tensor by tensor", (), slow_cases=PRESETS)
def same_bytes(preset):
    folder = WORK / f"llmcompressor-{preset}"
    LLMCOMPRESSOR.ask("round_to_nearest", model=TINY_LLAMA, scheme=PRESETS[preset], out=folder)
    theirs, own = stored(folder), stored(converted(preset, "rtn"))
    require(theirs.keys() == own.keys(), f"other tensors: {sorted(theirs.keys() ^ own.keys())[:4]}")
    for name, tensor in theirs.items():
        require(tensor.dtype == own[name].dtype and tensor.shape == own[name].shape, f"{name}: type or shape differs")
        require(torch.equal(tensor.flatten().view(torch.uint8), own[name].flatten().view(torch.uint8)), f"{name}: bytes differ")
    return f"{len(theirs)} tensors"


def compared(folder):
    """How far that transformers' logits are from qconvert's."""
    ids, out = WORK / "llmcompressor.ids", WORK / "llmcompressor.f32"
    torch.manual_seed(3)
    tokens = torch.randint(0, vocabulary_size(folder), (64,)).tolist()
    ids.write_text(" ".join(map(str, tokens)))
    LLMCOMPRESSOR.ask("logits", folder=folder, ids=tokens, out=out)
    return deviation(own_logits(folder, ids), torch.from_numpy(numpy.fromfile(out, "<f4")))


SHORT_FLOATS = ["nvfp4a16", "mxfp4a16", "mxfp8a16", "e2m1-g32-e8m0"]


@check("{} folder in transformers with compressed-tensors 0.19 gives qconvert's logits", (), slow_cases=SHORT_FLOATS)
def loads(preset):
    measured = compared(short_floats(preset))
    # The library unpacks to bfloat16, which holds E2M1 and E4M3 under a power of two, but rounds the product of two scales.
    require(measured < (2e-2 if preset == "nvfp4a16" else 1e-4), f"deviation {measured:.1e}")
    return f"{measured:.1e}"


@check("{} folder in transformers, which unpacks it, gives qconvert's logits", (), slow_cases=["fp8-block128", "fp8-block128-e8m0"])
def unpacks(scheme):
    folder = convert(TINY_LLAMA, WORK / f"unpacked-{scheme}", "--scheme", scheme, "--packing", "fp8-block", "--for", "transformers")
    kinds = {tensor.dtype for name, tensor in stored(folder).items() if name.endswith("_scale_inv")}
    require(kinds == {torch.float8_e8m0fnu if scheme.endswith("e8m0") else torch.float32}, f"scales of type {kinds}")
    measured = compared(folder)
    # It multiplies in 32 bits and keeps the product in F32.
    require(measured < 1e-4, f"deviation {measured:.1e}")
    return f"{measured:.1e}"
