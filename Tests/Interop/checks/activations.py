"""Folders that say how inputs and caches are rounded: transformers rounds them so, and comes as close to the model as it does with
llm-compressor's folders."""
import functools

import torch
from safetensors.torch import load_file
from transformers import CompressedTensorsConfig

from checks.folders import stored
from clients import WORK, convert, evaluate, shared
from models import TINY_LLAMA, load
from registry import check, require

# Options, and the mean KL divergence of llm-compressor's folder of the same scheme in shared/golden/README.md (60 windows; the checks
# run 20, which differ by a few percent). Its INT8 with stored scales is smoothed and has zero points; here it has neither.
RUNS = {
    "w8a8": (["--scheme", "w8a8"], 0.00043),
    "w8a8-static": (["--scheme", "w8a8-static"], 0.00201),
    "w8a8-static asymmetric": (["--scheme", "w8a8", "--activations", "int8-tensor-asym"], 0.00201),
    "w4a8": (["--scheme", "w4a8"], 0.04385),
    "fp8": (["--scheme", "fp8"], 0.00470),
    "fp8-static": (["--scheme", "fp8-static"], 0.00401),
    "fp8-block": (["--scheme", "fp8-block"], 0.00391),
    "fp8 with a rounded cache": (["--scheme", "fp8", "--kv-cache", "fp8"], 0.00561),
}
TOLERANCE = 1.15
# Caches whose scales are those of the largest magnitudes, and what that is divided by. vLLM has none of integers, nor has llm-compressor
# a folder here.
CACHES = {
    "fp8 with a rounded cache": (RUNS["fp8 with a rounded cache"][0], 448),
    "w8a8 with a cache of 8-bit integers": (["--scheme", "w8a8", "--kv-cache", "int8-tensor", "--calibrator", "minmax"], 127.5),
    "w8a8 with a cache of 4-bit integers": (["--scheme", "w8a8", "--kv-cache", "int4-tensor", "--calibrator", "minmax"], 7.5),
}


@functools.cache
def converted(run):
    """Calibrated on the same windows as the golden folders."""
    return convert(
        TINY_LLAMA, WORK / run.replace(" ", "-"), *(RUNS.get(run) or CACHES[run])[0], "--plugin", "rtn", "--calibration",
        shared("text/calibration.txt"), "--samples", "128", "--context", "256", "--bos", "off")


@functools.cache
def reference():
    """Batches of windows, and the model's log-probabilities for them."""
    batches = load_file(shared("golden/evaluation-tokens.safetensors"))["input_ids"][:20].split(5)
    model = load(TINY_LLAMA)
    return [(batch, torch.log_softmax(model(batch).logits, -1)) for batch in batches]


def loss(run):
    """The mean KL divergence of transformers with a folder from transformers with the model."""
    model = load(converted(run), quantization_config=CompressedTensorsConfig(run_compressed=False))
    found = []
    for batch, expected in reference():
        logits = torch.log_softmax(model(batch).logits, -1)
        found.append((expected.exp() * (expected - logits)).sum(-1)[:, :-1].flatten())
    return torch.cat(found).mean().item()


@check("{}: transformers loses what qconvert simulates", list(CACHES)[1:2], slow_cases=list(CACHES)[2:])
def simulated(run):
    figures = evaluate(
        converted(run), "--reference", TINY_LLAMA, "--text", shared("text/wikitext2-valid.txt"), "--windows", 20, "--bos", "off", "--simulate", "file")
    measured, expected = loss(run), figures["kld.mean"]
    require(abs(measured / expected - 1) < 0.1, f"KL {measured:.5f}, simulated {expected:.5f}")
    return f"KL {measured:.5f}, simulated {expected:.5f}"


@check("{}: transformers rounds activations, and stays as close as with llm-compressor's folder", RUNS)
def divergence(run):
    measured, limit = loss(run), RUNS[run][1] * TOLERANCE
    require(measured < limit, f"KL {measured:.5f}, more than {limit:.5f}")
    return f"KL {measured:.5f}, llm-compressor {RUNS[run][1]:.5f}"


@functools.cache
def ranges():
    """Largest magnitudes that transformers finds on the calibration windows: inputs by module, keys and values by block."""
    model = load(TINY_LLAMA)
    found = {}

    def see(name, values):
        found[name] = max(found.get(name, 0.0), values.abs().max().item())

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(lambda _, inputs, name=name: see(name, inputs[0]))
    windows = load_file(shared("golden/calibration-tokens.safetensors"))["input_ids"]
    for batch in windows.split(16):
        cache = model(batch, use_cache=True).past_key_values
        for block, layer in enumerate(cache.layers):
            see(f"model.layers.{block}.self_attn.k_scale", layer.keys)
            see(f"model.layers.{block}.self_attn.v_scale", layer.values)
    return found


@check("{}: stored scales equal those that transformers observes", ["fp8-static", *CACHES])
def scales(run):
    count, seen, steps = 0, ranges(), CACHES[run][1] if run in CACHES else 448
    for name, scale in stored(converted(run)).items():
        kind = name.rsplit(".", 1)[1]
        if kind not in ("input_scale", "k_scale", "v_scale"):
            continue
        largest = seen[name.removesuffix(".input_scale")]
        # One step of bfloat16: sums in another order may round to the other side.
        require(abs(scale.item() * steps / largest - 1) < 2**-7, f"{name}: {scale.item()}, transformers sees {largest / steps}")
        count += 1
    require(count == (16 if "cache" in run else 56), f"{count} stored scales")
    return f"{count} scales"


@check("{}: qconvert opens it and skips stored scales", ["ct-sq-w8a8-static", "ct-fp8-kv", "ct-fp8-static"])
def opens(folder):
    golden = stored(shared(f"golden/{folder}"))
    read = stored(convert(shared(f"golden/{folder}"), WORK / f"{folder}-weights", "--scheme", "f32"))
    expected = {name for name in golden if not name.endswith(("_scale", "_zero_point"))}
    require(set(read) == expected, f"other tensors: {sorted(set(read) ^ expected)[:3]}")
    for name in expected:
        scale = golden.get(name + "_scale", torch.ones(1)).float()
        require(torch.equal(read[name].float(), golden[name].float() * scale), f"{name}: weights differ")
    return f"{len(expected)} tensors"
