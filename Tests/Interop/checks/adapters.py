"""LoRA adapters, merged and converted between formats, against PEFT and llama.cpp."""
import functools
import sys

import numpy
import peft
import torch
from gguf import GGUFReader

from checks.logits import deviation, f32_gguf, ids_file
from clients import CLIENTS, WORK, convert, llama, run
from models import load, random_ids, random_model, transformers_logits
from registry import check, require

LLAMA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TARGETS = {
    "llama-mha": dict(target_modules=LLAMA, use_rslora=True),
    "llama3-rope": dict(target_modules=LLAMA + ["embed_tokens", "lm_head"]),
    "qwen2-tied": dict(target_modules=LLAMA, alpha_pattern={"down_proj": 3}),
    "qwen3": dict(target_modules=["q_proj", "k_proj", "down_proj"], rank_pattern={"q_proj": 2}),
    "mixtral": dict(target_modules=["q_proj", "k_proj", "block_sparse_moe.gate", "w1", "w2", "w3"]),
    "gpt2": dict(target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True),
    "bloom": dict(target_modules=["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]),
    "opt": dict(target_modules=["q_proj", "v_proj", "fc1"], bias="all"),
}
IN_GGUF = [name for name in TARGETS if name != "opt"]
# llama.cpp's converter ignores use_rslora and alpha_pattern, stops at a fused matrix whose parts it reorders, and swaps the
# matrices of GPT-2, so that they fit none of its own models.
LIKE_CONVERTER = ["llama3-rope", "qwen3", "mixtral"]


@functools.cache
def adapter(name):
    """A random adapter of a random model: its folder, and, by PEFT, the logits with it and the merged weights."""
    config = peft.LoraConfig(r=4, lora_alpha=6, task_type="CAUSAL_LM", **TARGETS[name])
    model = peft.get_peft_model(load(random_model(name)), config).eval()
    torch.manual_seed(3)
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data * (0 if "lora_" in key else 1) + 0.1 * torch.randn_like(parameter)
    folder = WORK / f"{name}.adapter"
    model.save_pretrained(folder, save_embedding_layers=False)
    logits = model(torch.tensor([random_ids(name)])).logits[0]
    return folder, logits, model.merge_and_unload().state_dict()


def llama_logits(model, ids, *options):
    out = WORK / "adapted.f32"
    out.unlink(missing_ok=True)
    llama("llama-logits", model, ids, out, *options)
    return numpy.fromfile(out, "<f4")


@check("adapter of {}: merged, it gives the weights and logits of PEFT", TARGETS)
def merging_agrees(name):
    folder, logits, weights = adapter(name)
    merged = convert(random_model(name), WORK / f"{name}.merged", "--scheme", "f32", "--lora", folder)
    ours = load(merged).state_dict()
    require(ours.keys() == weights.keys(), "other tensors than PEFT's")
    worst = max(float((ours[key] - weights[key]).abs().max()) for key in weights)
    require(worst < 1e-6, f"a weight differs by {worst:.1e}")
    measured = deviation(transformers_logits(merged, random_ids(name)).numpy().ravel(), logits)
    require(measured < 1e-5, f"deviation {measured:.1e}")
    return f"weights {worst:.1e}, logits {measured:.1e}"


@check("adapter of {}: as a GGUF beside its model, llama.cpp computes what PEFT does", IN_GGUF)
def llama_agrees(name):
    folder, logits, _ = adapter(name)
    moved = convert(folder, WORK / f"{name}.adapter.gguf", "--base", random_model(name))
    beside = llama_logits(f32_gguf(name), ids_file(name), moved)
    measured = deviation(beside, logits)
    require(measured < 1e-3, f"deviation {measured:.1e}")
    merged = convert(random_model(name), WORK / f"{name}.merged.gguf", "--scheme", "f32", "--lora", folder)
    difference = deviation(llama_logits(merged, ids_file(name)), beside)
    require(difference < 1e-3, f"deviation {difference:.1e} from the merged file")
    return f"{measured:.1e}, merged {difference:.1e}"


@check("adapter of {}: the GGUF has the tensors of llama.cpp's own converter", LIKE_CONVERTER)
def converter_agrees(name):
    folder, _, _ = adapter(name)
    theirs, ours = WORK / f"{name}.theirs.gguf", WORK / f"{name}.ours.gguf"
    run([sys.executable, CLIENTS / "llama" / "convert_lora_to_gguf.py", folder, "--base", random_model(name), "--outfile", theirs])
    convert(folder, ours, "--base", random_model(name))
    theirs, ours = GGUFReader(theirs), GGUFReader(ours)
    for key in ("general.architecture", "general.type", "adapter.type", "adapter.lora.alpha"):
        require(ours.get_field(key).contents() == theirs.get_field(key).contents(), f"{key} differs")
    found = {tensor.name: tensor.data for tensor in ours.tensors}
    require(found.keys() == {tensor.name for tensor in theirs.tensors}, "other tensors")
    for tensor in theirs.tensors:
        require(numpy.array_equal(found[tensor.name], tensor.data), f"{tensor.name} differs")
    return f"{len(found)} tensors"


@check("adapter of {}: converted back from a GGUF into a folder, PEFT computes the same", IN_GGUF)
def peft_agrees(name):
    folder, logits, _ = adapter(name)
    moved = convert(folder, WORK / f"{name}.there.gguf", "--base", random_model(name))
    back = convert(moved, WORK / f"{name}.back", "--base", random_model(name))
    model = peft.PeftModel.from_pretrained(load(random_model(name)), back).eval()
    measured = deviation(model(torch.tensor([random_ids(name)])).logits[0].numpy().ravel(), logits)
    require(measured < 1e-5, f"deviation {measured:.1e}")
    return f"{measured:.1e}"
