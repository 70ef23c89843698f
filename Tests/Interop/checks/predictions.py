"""Blocks that predict further tokens: their place in a GGUF is that of llama.cpp's converter, and they come back from it."""
import functools
import json
import shutil

import torch
from safetensors.torch import load_file, save_file

from checks.metadata import compare_metadata
from checks.newer import CONFIGURATIONS, handmade, qwen35
from clients import WORK, convert, llama, llama_convert
from gguf_files import compare_tensors
from models import random_model
from registry import check, require

# By model: the block that they are like, whether a folder holds them under 'mtp.', and the key that counts them.
LIKE = {
    "glm4-moe": (-1, False, "num_nextn_predict_layers"),
    "qwen3-next": (3, True, "mtp_num_hidden_layers"),
    "qwen3.5": (3, True, "mtp_num_hidden_layers"),
    "cohere2-moe": (-1, False, "num_nextn_predict_layers"),
    # One norm and one part per block, so it takes two pieces: these are the blocks that they are like.
    "nemotron-h-moe": ((2, 1), True, "num_nextn_predict_layers"),
}
# The converter writes them together only.
UNDIVIDED = ["cohere2-moe"]


def in_pieces(tensors, blocks, width, random):
    """The tensors of a block whose parts are in pieces of their own: an attention and a mixture."""
    added = {}
    for piece, like in enumerate(blocks):
        prefix = f"backbone.layers.{like}."
        added |= {
            f"mtp.layers.{piece}." + key[len(prefix):]: random(*value.shape) for key, value in tensors.items() if key.startswith(prefix)}
    added["mtp.layers.0.eh_proj.weight"] = random(width, 2 * width)
    return added | {f"mtp.layers.{name}.weight": random(width) for name in ("0.enorm", "0.hnorm", "1.final_layernorm")}


@functools.cache
def predicting(name):
    """The random model with one such block."""
    source = qwen35(name)[0] if name == "qwen3.5" else handmade(name) if name in CONFIGURATIONS else random_model(name)
    folder = WORK / f"{name}.predicting"
    shutil.copytree(source, folder, dirs_exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    blocks, width = config["num_hidden_layers"], config["hidden_size"]
    like, is_apart, key = LIKE[name]
    config[key] = 1
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(folder / "model.safetensors")
    torch.manual_seed(9)

    def random(*shape):
        return (0.1 * torch.randn(shape)).to(next(iter(tensors.values())).dtype)

    if isinstance(like, tuple):
        added = in_pieces(tensors, like, width, random)
        save_file(tensors | added, folder / "model.safetensors", metadata=dict(format="pt"))
        return folder, added
    prefix = f"model.layers.{like % blocks}."
    further = "mtp.layers.0." if is_apart else f"model.layers.{blocks}."
    added = {further + key[len(prefix):]: random(*value.shape) for key, value in tensors.items() if key.startswith(prefix)}
    names = ["fc", "pre_fc_norm_embedding", "pre_fc_norm_hidden", "norm"] if is_apart else ["eh_proj", "enorm", "hnorm", "shared_head.norm"]
    start = "mtp." if is_apart else further
    added[f"{start}{names[0]}.weight"] = random(width, 2 * width)
    added |= {f"{start}{name}.weight": random(width) for name in names[1:]}
    if not is_apart:
        added |= {f"{start}{name}.weight": random(*tensors["model.embed_tokens.weight"].shape) for name in ("embed_tokens", "shared_head.head")}
    save_file(tensors | added, folder / "model.safetensors", metadata=dict(format="pt"))
    return folder, added


@functools.cache
def f32_gguf(name):
    return convert(predicting(name)[0], WORK / f"{name}.predicting.gguf", "--scheme", "f32")


@check("{} with a block that predicts a further token: the GGUF equals that of llama.cpp's converter", ["glm4-moe", "qwen3.5"], slow_cases=LIKE)
def equals_converter(name):
    reference = llama_convert(predicting(name)[0], WORK / "predicting.reference.gguf", "f32")
    found = compare_metadata(name, f32_gguf(name), reference) + compare_tensors(f32_gguf(name), reference)
    reference.unlink()
    require(not found, f"{len(found)} differences: {'; '.join(found[:6])}")


@check("{} with a block that predicts a further token: it returns from a GGUF, and a quantized folder keeps it", ["qwen3.5"], slow_cases=LIKE)
def returns(name):
    back, packed = WORK / f"{name}.back", WORK / f"{name}.packed"
    convert(f32_gguf(name), back, "--scheme", "f32")
    convert(predicting(name)[0], packed, "--scheme", "int4-g32")
    added = predicting(name)[1]
    for folder, kind in ((back, "returned"), (packed, "kept")):
        stored = {}
        for file in folder.glob("*.safetensors"):
            stored |= load_file(file)
        for key, value in added.items():
            require(key in stored, f"'{key}' is not {kind}")
            require(torch.equal(stored[key].float(), value.float()) or kind == "returned" and torch.allclose(
                stored[key].float(), value.float(), atol=1e-6), f"'{key}' is not {kind} as it was")


@check("{} with a block that predicts a further token: Q4_K_M equals llama-quantize's", ["glm4-moe"])
def equals_quantize(name):
    own, reference = WORK / "predicting.own.gguf", WORK / "predicting.quantized.gguf"
    convert(f32_gguf(name), own, "--scheme", "q4_k_m")
    llama("llama-quantize", f32_gguf(name), reference, "Q4_K_M")
    found = compare_tensors(own, reference)
    require(not found, f"{len(found)} differences: {'; '.join(found[:6])}")


@check("{} with a block that predicts a further token: the block alone, and the model alone, equal those of llama.cpp's converter", ["glm4-moe"],
       slow_cases=[name for name in LIKE if name not in UNDIVIDED])
def apart(name):
    for choice, option in (("alone", "--mtp"), ("none", "--no-mtp")):
        own = convert(predicting(name)[0], WORK / f"{name}.{choice}.gguf", "--scheme", "f32", "--mtp", choice)
        reference = llama_convert(predicting(name)[0], WORK / f"{name}.{choice}.reference.gguf", "f32", option)
        found = compare_metadata(name, own, reference) + compare_tensors(own, reference)
        require(not found, f"{choice}: {len(found)} differences: {'; '.join(found[:6])}")


@check("{} with a block that predicts a further token and lacks a tensor: the GGUF equals the converter's without the block", ["glm4-moe"])
def incomplete(name):
    folder = WORK / f"{name}.incomplete"
    shutil.copytree(predicting(name)[0], folder)
    tensors = load_file(folder / "model.safetensors")
    lost = next(key for key in predicting(name)[1] if "experts.1.up_proj" in key)
    save_file({key: value for key, value in tensors.items() if key != lost}, folder / "model.safetensors", metadata=dict(format="pt"))
    own = convert(folder, WORK / f"{name}.incomplete.gguf", "--scheme", "f32")
    reference = llama_convert(folder, WORK / f"{name}.incomplete.reference.gguf", "f32", "--no-mtp")
    found = compare_metadata(name, own, reference) + compare_tensors(own, reference)
    require(not found, f"{len(found)} differences: {'; '.join(found[:6])}")
