"""compressed-tensors folders load in transformers, compute what qconvert computes, and hold what its own library rounds to."""
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
from clients import WORK, convert
from models import TINY_LLAMA, transformers_logits, vocabulary_size
from registry import check, require

SCHEMES = ["w4a16", "w8a16"]


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


@check("{} folder in transformers gives qconvert's logits", [(s, m) for s in SCHEMES for m in ("rtn", "awq")])
def loads(case):
    folder = converted(*case)
    torch.manual_seed(3)
    ids = torch.randint(0, vocabulary_size(folder), (64,)).tolist()
    ids_file = WORK / "folder.ids"
    ids_file.write_text(" ".join(map(str, ids)))
    expected = transformers_logits(folder, ids, quantization_config=CompressedTensorsConfig(run_compressed=False))
    measured = deviation(own_logits(folder, ids_file), expected)
    require(measured < 1e-4, f"deviation {measured:.1e}")
    return f"{measured:.1e}"


@check("{} rounds to nearest as the compressed-tensors library does", SCHEMES)
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
        rows, columns = weight.shape
        groups = weight.reshape(rows, -1, arguments.group_size if (arguments.group_size or -1) > 0 else columns)
        scale, zero = calculate_qparams(groups.amin(-1), groups.amax(-1), arguments)
        expected = quantize(weight, scale, zero, arguments, dtype=torch.int8)
        if module + ".weight_packed" in own:
            codes = unpack_from_int32(own[module + ".weight_packed"], arguments.num_bits, weight.shape)
        else:
            codes = own[module + ".weight"]
        require(torch.equal(own[module + ".weight_scale"], scale.to(weight.dtype)), f"{module}: scales differ")
        differing = int((codes != expected).sum())
        require(differing == 0, f"{module}: {differing} of {codes.numel()} codes differ")
    return f"{len(modules)} matrices"
