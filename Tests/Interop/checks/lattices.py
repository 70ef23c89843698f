"""Floats that other tools dequantized: qconvert finds the grid that they lie on, and gives back the tools' own codes and scales."""
import json

import torch
from compressed_tensors.compressors.quantized_compressors.pack_quantized import unpack_from_int32
from safetensors.torch import save_file

from checks.folders import stored
from clients import WORK, convert, qconvert, shared
from registry import check, require


def dequantized(name, dtype):
    """A folder with the weights of a golden folder of packed integers as plain floats, unpacked by compressed-tensors."""
    source, folder = shared(f"golden/{name}"), WORK / f"floats-{name}-{dtype}"
    folder.mkdir(exist_ok=True)
    tensors, floats = stored(source), {}
    for key, tensor in tensors.items():
        layer = key.removesuffix(".weight_packed")
        if layer != key:
            scales, shape = tensors[layer + ".weight_scale"], tensors[layer + ".weight_shape"].tolist()
            codes = unpack_from_int32(tensor, 4, torch.Size(shape)).float()
            floats[layer + ".weight"] = codes * scales.float().repeat_interleave(shape[1] // scales.shape[1], 1)
        elif ".weight_" not in key:
            floats[key] = tensor
    save_file({key: tensor.to(dtype).contiguous() for key, tensor in floats.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text())
    del config["quantization_config"]
    config["dtype"] = config["torch_dtype"] = str(dtype).removeprefix("torch.")
    (folder / "config.json").write_text(json.dumps(config))
    return tensors, folder


@check("floats of llm-compressor's W4A16 in {} get its codes and scales again", ["float16", "bfloat16"])
def codes_again(dtype):
    original, folder = dequantized("ct-gptq-w4a16", getattr(torch, dtype))
    found = json.loads(qconvert("inspect", folder, "--json"))["lattices"]
    layers = [key for key in original if key.endswith(".weight_packed")]
    require([(lattice["scheme"], len(lattice["tensors"])) for lattice in found] == [("int4-g128", len(layers))], f"inspect finds {found}")
    own = stored(convert(folder, WORK / f"again-{dtype}", "--scheme", "w4a16"))
    for key in layers:
        scale = key.replace("_packed", "_scale")
        require(torch.equal(own[key], original[key]), f"{key}: other codes")
        require(torch.equal(own[scale].float(), original[scale].float()), f"{scale}: other scales")
    return f"{len(layers)} layers"
