"""The same logits from the folder, from its GGUF, from transformers and from llama.cpp."""
import functools

import numpy
import torch

from clients import WORK, convert, llama, qconvert
from models import EVALUATION_TEXT, FOLDERS_ONLY, GGUF_MODELS, RANDOM_MODELS, load, random_ids, random_model, split, transformers_logits
from registry import check, require


# llama.cpp does not read what the norms of Qwen2-VL and Qwen2.5-VL add under the root, and adds nothing.
WITHOUT_EPSILON = ["qwen2.5-vl"]


@functools.cache
def f32_gguf(name):
    """qconvert's F32 GGUF of a random model."""
    return convert(random_model(name), WORK / f"{name}.logits.gguf", "--scheme", "f32")


def ids_file(name):
    path = WORK / f"{name}.ids"
    path.write_text(" ".join(map(str, random_ids(name))))
    return path


def own_logits(model, ids, *options):
    """Logits by qconvert's engine; `ids` is a file."""
    out = WORK / "own.f32"
    qconvert("logits", model, out, "--ids", ids, "--force", *options)
    return numpy.fromfile(out, "<f4")


def deviation(measured, expected):
    """max |Δ| / max |logit|. Both are flat or `[tokens, vocabulary]`."""
    expected = numpy.asarray(torch.as_tensor(expected)).ravel()
    require(measured.size == expected.size, f"{measured.size} logits instead of {expected.size}")
    require(numpy.isfinite(measured).all(), "logits are not finite")
    return float(numpy.abs(measured - expected).max() / numpy.abs(expected).max())


@check("logits of {}: its F32 GGUF in llama.cpp gives those of transformers", **split(GGUF_MODELS))
def llama_agrees(name):
    out = WORK / "llama.f32"
    llama("llama-logits", f32_gguf(name), ids_file(name), out)
    model = load(random_model(name))
    if name in WITHOUT_EPSILON:
        for norm in model.modules():
            if hasattr(norm, "variance_epsilon"):
                norm.variance_epsilon = 0
    measured = deviation(numpy.fromfile(out, "<f4"), model(torch.tensor([random_ids(name)])).logits[0])
    require(measured < 1e-3, f"deviation {measured:.1e}")
    return f"{measured:.1e}"


@check("logits of {}: qconvert's engine gives those of transformers", **split(RANDOM_MODELS))
def engine_agrees(name):
    expected = transformers_logits(random_model(name), random_ids(name))
    details = []
    models = {"folder": random_model(name)}
    if name not in FOLDERS_ONLY:
        models["GGUF"] = f32_gguf(name)
    for kind, model in models.items():
        measured = deviation(own_logits(model, ids_file(name)), expected)
        require(measured < 1e-4, f"deviation {measured:.1e} from the {kind}")
        details.append(f"{kind} {measured:.1e}")
    return ", ".join(details)


FOLDED = [
    "llama-mha", "mixtral", "qwen2-moe", "qwen3-moe-dense", "deepseek-v3", "gpt-oss", "gemma3", "granite-moe", "olmo2", "cohere",
    "gpt2", "bloom", "opt", "opt-post-norm", "phi-4", "glm4", "phi2", "gpt-neox", "starcoder2", "stablelm", "falcon", "falcon-new",
    "gpt-bigcode", "llama4", "nemotron", "mpt"]


@check("logits of {}: scales that AWQ folds into producers change nothing", FOLDED)
def folds_change_nothing(name):
    folder = WORK / f"{name}.folded"
    convert(random_model(name), folder, "--scheme", "f32", "--plugin", "awq:search=int4-g32", "--calibration", EVALUATION_TEXT,
        "--context", 128, "--samples", 8, "--force")
    expected = transformers_logits(random_model(name), random_ids(name))
    changed = sum(
        not torch.equal(value, load(random_model(name)).state_dict()[key]) for key, value in load(folder).state_dict().items())
    require(changed > 0, "no scale was folded")
    measured = deviation(transformers_logits(folder, random_ids(name)).numpy().ravel(), expected)
    require(measured < 1e-4, f"deviation {measured:.1e}")
    return f"{measured:.1e}, {changed} tensors changed"
