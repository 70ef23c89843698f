"""llm-compressor at work: it rounds to qconvert's bytes, and the transformers of its age computes with qconvert's folders."""
import numpy
import torch

from checks.floats import converted as short_floats
from checks.folders import converted, stored
from checks.logits import deviation, own_logits
from clients import LLMCOMPRESSOR, WORK
from models import TINY_LLAMA, vocabulary_size
from registry import check, require

# Schemes, and llm-compressor's names of the same.
PRESETS = {"w4a16": "W4A16", "w8a8": "W8A8", "int8-g128": "W8A16"}


@check("{} by llm-compressor has the bytes of qconvert, tensor by tensor", (), slow_cases=PRESETS)
def same_bytes(preset):
    folder = WORK / f"llmcompressor-{preset}"
    LLMCOMPRESSOR.ask("round_to_nearest", model=TINY_LLAMA, scheme=PRESETS[preset], out=folder)
    theirs, own = stored(folder), stored(converted(preset, "rtn"))
    require(theirs.keys() == own.keys(), f"other tensors: {sorted(theirs.keys() ^ own.keys())[:4]}")
    for name, tensor in theirs.items():
        require(tensor.dtype == own[name].dtype and tensor.shape == own[name].shape, f"{name}: another type or shape")
        require(torch.equal(tensor.flatten().view(torch.uint8), own[name].flatten().view(torch.uint8)), f"{name}: bytes differ")
    return f"{len(theirs)} tensors"


SHORT_FLOATS = ["nvfp4a16", "mxfp4a16", "mxfp8a16"]


@check("{} folder in transformers with compressed-tensors 0.19 gives qconvert's logits", (), slow_cases=SHORT_FLOATS)
def loads(preset):
    folder, ids, out = short_floats(preset), WORK / "llmcompressor.ids", WORK / "llmcompressor.f32"
    torch.manual_seed(3)
    tokens = torch.randint(0, vocabulary_size(folder), (64,)).tolist()
    ids.write_text(" ".join(map(str, tokens)))
    LLMCOMPRESSOR.ask("logits", folder=folder, ids=tokens, out=out)
    measured = deviation(own_logits(folder, ids), torch.from_numpy(numpy.fromfile(out, "<f4")))
    # The library unpacks to bfloat16, which holds E2M1 and E4M3 under a power of two, and rounds the product of two scales.
    require(measured < (2e-2 if preset == "nvfp4a16" else 1e-4), f"deviation {measured:.1e}")
    return f"{measured:.1e}"
