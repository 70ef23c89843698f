"""vLLM loads what qconvert writes and computes what qconvert does; the same codes in another packing make no difference to it."""
import functools
import json

import numpy
import torch
from safetensors.torch import load_file

from checks.logits import own_logits
from checks.simulation import one_block
from clients import VLLM, WORK, convert, shared
from models import TINY_LLAMA
from registry import check, require

# Options, and the format that the folder must have. These are what the CPU build has kernels for: there are none for packed 8 bits
# (w8a16), FP8 with one scale per tensor (fp8-static, fp8, modelopt-fp8), MXFP4, MXFP8 and NVFP4, and that for FP8 blocks needs AMX.
WRITTEN = {
    "w4a16": ("pack-quantized", ["--scheme", "w4a16"]),
    "int4-g128-asym": ("pack-quantized", ["--scheme", "int4-g128-asym"]),
    "w8a8": ("int-quantized", ["--scheme", "w8a8"]),
    "fp8": ("float-quantized", ["--scheme", "fp8"]),
    "fp8 with a rounded cache": ("float-quantized", ["--scheme", "fp8", "--kv-cache", "fp8"]),
    "w8a8-static": ("int-quantized", ["--scheme", "w8a8-static"]),
    "w4a8": ("int-quantized", ["--scheme", "w4a8"]),
    # Scales of both signs.
    "w4a16 with searched ranges": ("pack-quantized", ["--scheme", "w4a16", "--search", "best"]),
    "w4a16 with searched ranges as gptq": ("gptq", ["--scheme", "w4a16", "--search", "best", "--packing", "gptq"]),
    # Patterns of layers, which are fused there.
    "w4a16 with shorter groups in a block": ("pack-quantized", ["--scheme", "w4a16", "--tensor", "model.layers.0.*_proj.weight=int4-g64"]),
    "w4a16 with shorter groups in a block as gptq": (
        "gptq", ["--scheme", "w4a16", "--packing", "gptq", "--tensor", "model.layers.0.*_proj.weight=int4-g64", "--keep", "model.layers.1.mlp.down_proj.*"]),
    "w4a16 as gptq": ("gptq", ["--scheme", "w4a16", "--packing", "gptq"]),
    "w4a16 as gptq_v2": ("gptq_v2", ["--scheme", "w4a16", "--packing", "gptq_v2"]),
    "int4-g128-asym as awq": ("awq", ["--scheme", "int4-g128-asym", "--packing", "awq"]),
}
# vLLM computes in bfloat16: log-probabilities are 0.016 apart even without rounding. If inputs are rounded too, a difference
# of one bit moves some of them to the next code, and integers have the range 127 instead of 127.5. Its CPU kernel
# truncates keys and values to E4M3 instead of rounding them (`cpu_attn_reshape_and_cache`: errors are twice those of rounding to
# nearest, and all towards zero), so that an FP8 cache loses more than the format does, with llm-compressor's folder as well.
PRECISION = {
    "w8a8": (0.03, 1e-3), "w8a8-static": (0.03, 3e-3), "w4a8": (0.03, 1e-3), "fp8": (0.06, 1e-3), "fp8 with a rounded cache": (0.15, 3e-2),
}
ROUNDED_INPUTS = list(PRECISION)
# Codes in the packing of compressed-tensors, and the other packings that can hold them.
SAME = [("w4a16", "gptq"), ("w4a16", "gptq_v2"), ("w4a16", "awq"), ("int4-g128-asym", "awq")]
# What the profile refuses.
REFUSED = {"gptq of 3 bits": ["--scheme", "int3-g128"], "gptq with zero points": ["--scheme", "int4-g128-asym"]}


@functools.cache
def prompts():
    return load_file(shared("golden/evaluation-tokens.safetensors"))["input_ids"][:8, :256].tolist()


def source(name):
    """Rounded inputs amplify differences in the order of sums from block to block, so models with them have only one block."""
    return one_block() if name in ROUNDED_INPUTS else TINY_LLAMA


@functools.cache
def written(name):
    return convert(source(name), WORK / f"vllm-{name.replace(' ', '-')}", *WRITTEN[name][1], "--for", "vllm")


@functools.cache
def theirs(folder):
    return numpy.array(VLLM.ask("log_probabilities", folder=folder, prompts=prompts()))


def own(folder, *options):
    """qconvert's log-probabilities of the same tokens."""
    found = []
    for prompt in prompts():
        ids = WORK / "vllm.ids"
        ids.write_text(" ".join(map(str, prompt)))
        logits = torch.from_numpy(own_logits(folder, ids, *options)).view(len(prompt), -1)
        found.append(torch.log_softmax(logits, -1)[:-1].gather(1, torch.tensor(prompt[1:])[:, None])[:, 0])
    return torch.stack(found).numpy()


def spread(left, right):
    """The root mean square of the differences."""
    return float(numpy.sqrt(((left - right) ** 2).mean()))


@check("{} in vLLM gives qconvert's log-probabilities", (), slow_cases=WRITTEN)
def computes(name):
    folder = written(name)
    config = json.loads((folder / "config.json").read_text())["quantization_config"]
    layout = config.get("format") or config.get("checkpoint_format") or config["quant_method"]
    require(layout == WRITTEN[name][0], f"layout {layout}")
    mine, other = own(folder, *(("--simulate", "file") if name in ROUNDED_INPUTS else ())), theirs(folder)
    measured, perplexities = spread(other, mine), (numpy.exp(-other.mean()), numpy.exp(-mine.mean()))
    detail = f"{measured:.3f} nats apart (root mean square), perplexity {perplexities[0]:.3f} and {perplexities[1]:.3f}"
    limit, share = PRECISION.get(name, (0.02, 1e-3))
    require(measured < limit and abs(perplexities[0] / perplexities[1] - 1) < share, detail)
    return detail


@check("codes of {} in vLLM give the log-probabilities of compressed-tensors", (), slow_cases=SAME)
def same_codes(case):
    name, packing = case
    moved = convert(written(name), WORK / f"{written(name).name}-{packing}", "--packing", packing)
    expected, found = theirs(written(name)), theirs(moved)
    require((found == expected).all(), f"{int((found != expected).sum())} differ, by {spread(found, expected):.1e}")
    return f"{found.size} tokens"


@check("vLLM refuses {}, as its profile says", (), slow_cases=REFUSED)
def refuses(name):
    folder = convert(TINY_LLAMA, WORK / f"vllm-{name.replace(' ', '-')}", *REFUSED[name], "--packing", "gptq")
    try:
        theirs(folder)
    except RuntimeError as error:
        require("Unsupported quantization config" in str(error), str(error))
        return
    raise AssertionError("it loads")
