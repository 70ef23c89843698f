"""mlx-lm loads qconvert's folders and computes their logits; qconvert reads what mlx-lm writes, value for value."""
import functools
import json
import re

import numpy
from safetensors.numpy import load_file

from checks.logits import deviation, ids_file, own_logits
from clients import MLX, WORK, convert
from models import random_ids, random_model
from registry import check, require

# Group size 32 divides all rows of the random models.
MODELS = ["llama-mha", "llama-gqa-tied", "qwen3", "gemma3", "mixtral", "qwen2-moe", "qwen3-moe", "olmoe", "glm4-moe", "dots1"]
SCHEMES = [f"int{bits}-g32-affine" for bits in (2, 3, 4, 5, 6, 8)] + ["mxfp4", "mxfp8", "nvfp4a16"]
# What mlx-lm's own converter writes for a scheme.
CONVERSIONS = {
    "affine": dict(q_group_size=32, q_bits=4), "mxfp4": dict(q_mode="mxfp4"), "mxfp8": dict(q_mode="mxfp8"), "nvfp4": dict(q_mode="nvfp4"),
    "affine8": dict(q_group_size=32, q_bits=8)}
# mlx-lm's names of experts, and those of transformers.
LETTERS = {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"}


@functools.cache
def written(name, scheme):
    """qconvert's folder of a random model."""
    return convert(random_model(name), WORK / f"{name}.{scheme}.mlx", "--scheme", scheme, "--packing", "mlx")


@functools.cache
def theirs(name, kind):
    """mlx-lm's folder of a random model."""
    out = WORK / f"{name}.{kind}.mlx-lm"
    MLX.ask("convert", source=random_model(name), out=out, **CONVERSIONS[kind])
    return out


def logits(folder, ids, **options):
    out = WORK / "mlx.f32"
    MLX.ask("logits", folder=str(folder), ids=ids, out=str(out), **options)
    return numpy.fromfile(out, "<f4")


def compare_values(folder, name):
    """The weights that qconvert reads from a folder are those of `mx.dequantize`."""
    out = WORK / f"{name}.mlx.safetensors"
    layers = MLX.ask("dequantized", folder=str(folder), out=str(out))
    plain = convert(folder, WORK / f"{name}.plain", "--scheme", "f32", "--force")
    own, compared = load_file(plain / "model.safetensors"), 0
    for key, weights in load_file(out).items():
        found = re.fullmatch(r"(.*)\.switch_mlp\.(\w+)\.weight|(.*\.experts)\.(\w+_proj)\.weight", key)
        if found and weights.ndim == 3:
            before = found[3] or f"{found[1]}.experts"
            last = found[4] or found[2]
            last = LETTERS[last] if "block_sparse_moe" in before else last
            for index, matrix in enumerate(weights):
                require(numpy.array_equal(own[f"{before}.{index}.{last}.weight"], matrix), f"{key}, expert {index}")
        else:
            require(numpy.array_equal(own[key], weights), f"{key}: {numpy.abs(own[key] - weights).max()}")
        compared += 1
    require(compared == len(layers) and compared > 0, f"{compared} of {len(layers)} layers")
    return layers


@check("mlx-lm loads {} in affine groups and computes qconvert's logits", (), slow_cases=MODELS)
def loads(name):
    folder = written(name, "int4-g32-affine")
    measured = deviation(logits(folder, random_ids(name)), own_logits(folder, ids_file(name)))
    require(measured < 1e-3, f"deviation {measured:.1e}")
    layers = compare_values(folder, name)
    return f"{measured:.1e}, {len(layers)} layers"


@check("mlx-lm loads {}: its values are qconvert's", (), slow_cases=SCHEMES)
def values(scheme):
    folder = written("llama-mha", scheme)
    layers = compare_values(folder, scheme)
    stated = json.loads((folder / "config.json").read_text())["quantization"]
    require(all(layer == [stated["mode"], stated["bits"], stated["group_size"]] for layer in layers.values()), f"{layers}, not {stated}")
    measured = deviation(logits(folder, random_ids("llama-mha")), own_logits(folder, ids_file("llama-mha")))
    require(measured < 1e-3, f"deviation {measured:.1e}")
    return f"{measured:.1e}"


@check("mlx-lm loads layers of different widths", slow=True)
def mixed():
    folder = convert(
        random_model("qwen3-moe"), WORK / "mixed.mlx", "--scheme", "int4-g32-affine", "--packing", "mlx", "--tensor",
        "*down_proj*=int6-g32-affine", "--tensor", "*v_proj*=mxfp8", "--tensor", "*q_proj*=f32", "--tensor", "lm_head*=int8-g64-affine")
    layers = compare_values(folder, "mixed")
    require({tuple(layer) for layer in layers.values()} == {
        ("affine", 4, 32), ("affine", 6, 32), ("mxfp8", 8, 32), ("affine", 8, 64)}, f"{layers}")
    require(not any("q_proj" in name for name in layers), "a layer that was left out is quantized")
    return f"{len(layers)} layers"


@check("folder of mlx-lm: {}, values and logits", (), slow_cases=[(name, "affine") for name in MODELS] + [
    ("llama-mha", kind) for kind in CONVERSIONS])
def reads(case):
    name, kind = case
    folder = theirs(name, kind)
    layers = compare_values(folder, f"{name}.{kind}")
    measured = deviation(logits(folder, random_ids(name)), own_logits(folder, ids_file(name)))
    require(measured < 1e-3, f"deviation {measured:.1e}")
    return f"{measured:.1e}, {len(layers)} layers"


@check("rounding of {} has no larger error than mlx-lm's", (), slow_cases=["llama-mha", "mixtral"])
def rounds(name):
    own = MLX.ask("errors", folder=str(written(name, "int4-g32-affine")), reference=str(random_model(name)))
    others = MLX.ask("errors", folder=str(theirs(name, "affine")), reference=str(random_model(name)))
    for layer in own:
        require(own[layer] <= others[layer], f"{layer}: {own[layer]}, by MLX {others[layer]}")
    mean = sum(own.values()) / sum(others[layer] for layer in own)
    require(mean < 0.97, f"{mean:.3f} of MLX's squared error")
    return f"{mean:.3f} of MLX's squared error"


@check("codes of mlx-lm keep their values in Q4_1 blocks and in asymmetric groups", slow=True)
def moves():
    folder = theirs("llama-mha", "affine")
    for target, options in ((WORK / "moved.gguf", ["--scheme", "q4_1"]), (WORK / "moved", ["--scheme", "int4-g32-asym"])):
        convert(folder, target, *options, "--embedding-scheme", "f32", "--output-scheme", "f32")
        measured = deviation(own_logits(target, ids_file("llama-mha")), own_logits(folder, ids_file("llama-mha")))
        require(measured < 1e-2, f"{target.name}: deviation {measured:.1e}")
