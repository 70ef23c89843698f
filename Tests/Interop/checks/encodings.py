"""Quantized GGUF tensors equal llama-quantize's byte for byte, from other files than those of mixes.py, and have the values that the
gguf package reads from them."""
import functools

import gguf
import numpy

from clients import WORK, convert, llama
from gguf_files import compare_tensors, metadata, tensors
from models import TINY_LLAMA, random_model
from registry import check, require

SCHEMES = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k_s", "q4_k_m", "q5_k_m", "q6_k"]


@functools.cache
def plain(folder, type_name):
    """An unquantized GGUF of a model."""
    return convert(folder, WORK / f"{folder.name}.{type_name}.gguf", "--scheme", type_name)


def compare(folder, source, type_name, scheme):
    """qconvert on `source` against llama-quantize on the GGUF of `folder` in `type_name`."""
    own, reference = WORK / "own.gguf", WORK / "reference.gguf"
    convert(source, own, "--scheme", scheme, "--plugin", "rtn", "--force")
    reference.unlink(missing_ok=True)
    llama("llama-quantize", plain(folder, type_name), reference, scheme.upper())
    found = compare_tensors(own, reference, is_from_ggml=True)
    for key in ("general.file_type", "general.quantization_version"):
        pair = metadata(own).get(key), metadata(reference).get(key)
        if pair[0] != pair[1]:
            found.append(f"{key} is {pair[0]} instead of {pair[1]}")
    require(not found, f"{len(found)} differences: " + "; ".join(found[:6]))


@check("{} of an F16 GGUF equals llama-quantize's", ["q4_k_m", "q4_0"], slow_cases=SCHEMES)
def from_f16(scheme):
    compare(TINY_LLAMA, plain(TINY_LLAMA, "f16"), "f16", scheme)


@check("{} of an F32 GGUF equals llama-quantize's", ["q6_k"], slow_cases=SCHEMES)
def from_f32(scheme):
    compare(TINY_LLAMA, plain(TINY_LLAMA, "f32"), "f32", scheme)


@check("{} of rows that super-blocks do not divide equals llama-quantize's", ["q4_k_m", "q4_0"], slow_cases=SCHEMES)
def odd_rows(scheme):
    folder = random_model("llama-odd-shape")
    compare(folder, folder, "f32", scheme)


@check("{} with a tied embedding equals llama-quantize's", ["q4_k_m"], slow_cases=SCHEMES)
def tied_head(scheme):
    folder = random_model("llama-gqa-tied")
    compare(folder, folder, "f32", scheme)


@check("q4_k_m of {} equals llama-quantize's", ["gpt2", "bloom", "mixtral", "qwen2-moe", "qwen3-moe", "deepseek-v3", "gemma3"])
def other_layouts(name):
    folder = random_model(name)
    compare(folder, folder, "f32", "q4_k_m")


@check("{} is read with the values that the gguf package reads", SCHEMES)
def unpacks(scheme):
    packed, plain_file = WORK / "packed.gguf", WORK / "unpacked.gguf"
    convert(TINY_LLAMA, packed, "--scheme", scheme, "--plugin", "rtn", "--force")
    convert(packed, plain_file, "--scheme", "f32", "--allow-requantize", "--force")
    own = tensors(plain_file)
    reader = gguf.GGUFReader(packed)
    require(own.keys() == {tensor.name for tensor in reader.tensors}, "tensors were lost or added")
    for tensor in reader.tensors:
        expected = gguf.dequantize(tensor.data, tensor.tensor_type).astype("<f4").ravel().view("<u4")
        differing = int((numpy.frombuffer(own[tensor.name].data, "<u4") != expected).sum())
        require(differing == 0, f"{tensor.name} ({tensor.tensor_type.name}): {differing} values differ")
