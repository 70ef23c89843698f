"""ModelOpt at work: the folder with FP8 caches that it exports has qconvert's tensors and scales, and vLLM finds those scales."""
import functools
import json

import torch
from safetensors.torch import load_file

from checks.folders import stored
from clients import MODELOPT, VLLM, WORK, convert, shared
from models import TINY_LLAMA
from registry import check, require

# One folder per line: its options, and vLLM's name for ModelOpt's algorithm.
CACHES = {
    "modelopt-fp8": (["--scheme", "fp8-tensor", "--activations", "fp8-tensor"], "modelopt"),
    "modelopt-nvfp4": (["--scheme", "nvfp4"], "modelopt_fp4"),
}
WINDOWS = 4


@functools.cache
def converted(packing):
    """Calibrated on some of the golden folders' windows, with keys and values cached in FP8."""
    return convert(
        TINY_LLAMA, WORK / f"{packing}-cache", *CACHES[packing][0], "--packing", packing, "--kv-cache", "fp8", "--calibration",
        shared("text/calibration.txt"), "--samples", WINDOWS, "--context", "256", "--bos", "off")


def configurations(folder):
    """The quantization parts of config.json and hf_quant_config.json."""
    return json.loads((folder / "config.json").read_text())["quantization_config"], json.loads((folder / "hf_quant_config.json").read_text())


@check("FP8 with rounded caches by ModelOpt has the bytes of qconvert's folder, except for activation scales", slow=True)
def exported():
    folder = WORK / "modelopt-export"
    windows = load_file(shared("golden/calibration-tokens.safetensors"))["input_ids"]
    windows = windows[:: len(windows) // WINDOWS].tolist()
    MODELOPT.ask("fp8_with_cache", model=TINY_LLAMA, batches=windows, out=folder)
    theirs, own = stored(folder), stored(converted("modelopt-fp8"))
    require(theirs.keys() == own.keys(), f"other tensors: {sorted(theirs.keys() ^ own.keys())[:4]}")
    for name, tensor in theirs.items():
        require(tensor.dtype == own[name].dtype and tensor.shape == own[name].shape, f"{name}: {own[name].dtype}, not {tensor.dtype}")
        if name.endswith(("input_scale", "k_scale", "v_scale")):
            # ModelOpt observes in bfloat16, qconvert in 32 bits.
            ratio = own[name].item() / tensor.item()
            require(abs(ratio - 1) < 0.03, f"{name}: {own[name].item()}, by ModelOpt {tensor.item()}")
        else:
            require(torch.equal(tensor.flatten().view(torch.uint8), own[name].flatten().view(torch.uint8)), f"{name}: bytes differ")
    (config, file), (own_config, own_file) = configurations(folder), configurations(converted("modelopt-fp8"))
    for key in ("kv_cache_scheme", "quant_algo", "quant_method", "config_groups"):
        require(config[key] == own_config[key], f"{key}: {own_config.get(key)}, by ModelOpt {config[key]}")
    for key in ("kv_cache_quant_algo", "quant_algo"):
        require(file["quantization"][key] == own_file["quantization"][key], f"{key}: {own_file['quantization'].get(key)}")
    return f"{len(theirs)} tensors"


@check("{}: vLLM loads the scales of rounded caches", (), slow_cases=CACHES)
def loaded(packing):
    folder = converted(packing)
    config, file = configurations(folder)
    expected = [
        [stored(folder)[f"model.layers.{block}.self_attn.{kind}_proj.{kind}_scale"].item() for kind in "kv"] for block in range(8)]
    # It reads either description.
    for description in (config, file):
        found = VLLM.ask("cache_scales", folder=folder, method=CACHES[packing][1], description=description, blocks=len(expected))
        require(found == expected, f"{found[0]}, not {expected[0]}")
    return f"{len(expected)} blocks"
