"""Folders of short floats: qconvert rounds to llm-compressor's bytes, and transformers computes with them what qconvert does."""
import functools

import torch
from compressed_tensors.compressors.quantized_compressors import fp4_quantized

from checks.folders import both_logits, stored
from checks.logits import deviation
from clients import WORK, convert, shared
from models import TINY_LLAMA
from registry import check, require

# The library compiles its FP4 packing, for which Python's headers would have to be installed: use the plain function.
fp4_quantized.pack_fp4_to_uint8 = getattr(fp4_quantized.pack_fp4_to_uint8, "_torchdynamo_orig_callable", fp4_quantized.pack_fp4_to_uint8)

# Presets, and the folder that llm-compressor wrote from the same model (its first two blocks).
PRESETS = {"nvfp4a16": "ct-nvfp4", "mxfp4a16": "ct-mxfp4a16", "mxfp8a16": "ct-mxfp8a16"}


@functools.cache
def converted(preset):
    return convert(TINY_LLAMA, WORK / f"floats-{preset}", "--scheme", preset)


@check("{}: qconvert rounds to llm-compressor's bytes", PRESETS)
def equals_golden(preset):
    golden, own = stored(shared(f"golden/{PRESETS[preset]}")), stored(converted(preset))
    names = [name for name in golden if ".layers." in name and ".weight" in name and "norm" not in name]
    require(len(names) >= 2 * 7 * 2, f"{len(names)} stored tensors")
    for name in names:
        require(name in own, f"{name} is missing")
        require(golden[name].dtype == own[name].dtype and golden[name].shape == own[name].shape, f"{name}: type or shape differs")
        require(torch.equal(golden[name].view(torch.uint8), own[name].view(torch.uint8)), f"{name}: bytes differ")
    return f"{len(names)} tensors"


@check("nvfp4a16 folder in transformers gives qconvert's logits")
def loads():
    """Those of the other two are in llmcompressor.py: this version of compressed-tensors cannot unpack them."""
    measured = deviation(*both_logits(converted("nvfp4a16"), widens=True))
    # The library unpacks to bfloat16, which rounds the product of two scales.
    require(measured < 2e-2, f"deviation {measured:.1e}")
    return f"{measured:.1e}"
