"""compressed-tensors folders load in transformers, compute what qconvert computes, and have the codes that its own library makes."""
import functools
import json

import torch
from compressed_tensors.compressors import unpack_from_int32
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import quantize
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors import safe_open
from transformers import CompressedTensorsConfig

from checks.logits import deviation, own_logits
from clients import WORK, convert, shared
from models import TINY_LLAMA, transformers_logits, vocabulary_size
from registry import check, require

SCHEMES = ["w4a16", "w8a16"]
# Schemes do not say how inputs are rounded; presets do.
FLOAT_SCHEMES = ["fp8-channel", "fp8-g64", "fp8-g64-e8m0", "fp8-g64-ratio", "fp8-block128", "fp8-tensor"]
FLOAT_PRESETS = ["fp8", "fp8-block", "fp8-static", "zeroquant-fp-w8a8"]
INTEGER_PRESETS = ["w8a8", "w8a8-static", "w4a8"]
# Folders that llm-compressor wrote from the same model, and the preset that rounds to the same weights.
GOLDEN = {"ct-fp8-dynamic": "fp8", "ct-fp8-block": "fp8-block", "ct-fp8-static": "fp8-static"}
PACKED_GOLDEN = {"ct-rtn-w4a16-asym": "int4-g128-asym"}


@functools.cache
def converted(scheme, method):
    return convert(TINY_LLAMA, WORK / f"tiny-llama-{scheme}-{method}", "--scheme", scheme, "--plugin", method)


def stored(folder):
    """All tensors of a folder: {name: tensor}."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            found |= {name: file.get_tensor(name) for name in file.keys()}
    return found


def both_logits(folder, **options):
    """Logits of a folder by qconvert and by transformers, for the same token ids."""
    torch.manual_seed(3)
    ids = torch.randint(0, vocabulary_size(folder), (64,)).tolist()
    ids_file = WORK / "folder.ids"
    ids_file.write_text(" ".join(map(str, ids)))
    expected = transformers_logits(folder, ids, **options, quantization_config=CompressedTensorsConfig(run_compressed=False))
    return own_logits(folder, ids_file), expected


@check(
    "{} folder in transformers gives qconvert's logits",
    [(s, m) for s in SCHEMES for m in ("rtn", "awq")] + [(s, "rtn") for s in FLOAT_SCHEMES] + [("fp8-channel", "awq")])
def loads(case):
    measured = deviation(*both_logits(converted(*case)))
    require(measured < 1e-4, f"deviation {measured:.1e}")
    return f"{measured:.1e}"


@check("{} folder in transformers, which rounds its inputs", FLOAT_PRESETS + INTEGER_PRESETS)
def rounds_inputs(preset):
    measured = deviation(*both_logits(converted(preset, "rtn")))
    require(1e-3 < measured < 0.2, f"deviation {measured:.1e} from logits with unrounded inputs")
    return f"{measured:.1e} from logits with unrounded inputs"


def parameters(weight, arguments):
    """Scales and zero points by the library, for the strategy that a config group names."""
    rows, columns = weight.shape
    if arguments.strategy == "tensor":
        return calculate_qparams(weight.min().reshape(1), weight.max().reshape(1), arguments)
    if arguments.strategy == "block":
        height, width = arguments.block_structure
        blocks = weight.reshape(rows // height, height, columns // width, width)
        return calculate_qparams(blocks.amin((1, 3)), blocks.amax((1, 3)), arguments)
    groups = weight.reshape(rows, -1, arguments.group_size if (arguments.group_size or -1) > 0 else columns)
    return calculate_qparams(groups.amin(-1), groups.amax(-1), arguments)


@check("{} rounds to nearest as the compressed-tensors library does", SCHEMES + FLOAT_PRESETS + INTEGER_PRESETS)
def rounds(scheme):
    folder = converted(scheme, "rtn")
    config = json.loads((folder / "config.json").read_text())["quantization_config"]
    (group,) = config["config_groups"].values()
    arguments = QuantizationArgs(**group["weights"])
    own, source = stored(folder), stored(TINY_LLAMA)
    modules = [name.removesuffix(".weight_scale") for name in own if name.endswith(".weight_scale")]
    require(len(modules) == 7 * 8, f"{len(modules)} quantized modules instead of {7 * 8}")
    for module in modules:
        weight = source[module + ".weight"]
        scale, zero = parameters(weight, arguments)
        expected = quantize(weight, scale, zero, arguments, dtype=arguments.pytorch_dtype())
        if module + ".weight_packed" in own:
            codes = unpack_from_int32(own[module + ".weight_packed"], arguments.num_bits, weight.shape)
        else:
            codes = own[module + ".weight"]
        codes, expected = codes.view(torch.int8), expected.view(torch.int8)
        require(torch.equal(own[module + ".weight_scale"], scale.to(weight.dtype)), f"{module}: scales differ")
        differing = int((codes != expected).sum())
        require(differing == 0, f"{module}: {differing} of {codes.numel()} codes differ")
    return f"{len(modules)} matrices"


@check("{}: qconvert rounds to the same bytes", GOLDEN | PACKED_GOLDEN)
def equals_golden(folder):
    golden, own = stored(shared(f"golden/{folder}")), stored(converted((GOLDEN | PACKED_GOLDEN)[folder], "rtn"))
    modules = [name.removesuffix(".weight_scale") for name in golden if name.endswith(".weight_scale")]
    require(len(modules) >= 7 * 2, f"{len(modules)} quantized modules")
    for name in [name for name in golden for module in modules if name.startswith(module + ".weight")]:
        require(golden[name].dtype == own[name].dtype and golden[name].shape == own[name].shape, f"{name}: type or shape differs")
        require(torch.equal(golden[name].view(torch.uint8), own[name].view(torch.uint8)), f"{name}: bytes differ")
    return f"{len(modules)} matrices"


@check("{}: qconvert reads its weights", GOLDEN)
def reads_golden(folder):
    golden = stored(shared(f"golden/{folder}"))
    read = stored(convert(shared(f"golden/{folder}"), WORK / f"{folder}-f32", "--scheme", "f32"))
    for name, values in read.items():
        expected = golden[name].float()
        if name + "_scale" in golden:
            scale = golden[name + "_scale"].float()
            for axis in range(scale.ndim if scale.numel() > 1 else 0):
                scale = scale.repeat_interleave(expected.shape[axis] // scale.shape[axis], axis)
            expected = expected * scale
        require(torch.equal(values.float(), expected), f"{name}: weights differ")
    return f"{len(read)} tensors"
