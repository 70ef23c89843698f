"""Models of classes that only a later transformers has: the GGUF is that of llama.cpp's converter, it becomes a folder again, and the logits
agree."""
import functools
import json
import shutil

import numpy
import torch
from safetensors.torch import load_file, save_file

from checks.logits import deviation, own_logits
from checks.metadata import compare_metadata
from clients import TRANSFORMERS5, WORK, convert, llama, llama_convert, shared
from gguf_files import compare_tensors
from models import add_tokens
from registry import check, require

SHAPE = dict(
    vocab_size=50257, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=256, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, pad_token_id=0)
ROPE = dict(rope_parameters=dict(rope_type="default", rope_theta=10000.0))
IDS = [token * 1237 % 50000 for token in range(1, 25)]
# The class, that of its configuration, what this states, and the class of a folder made from a GGUF.
MODELS = {
    "jais2": ("Jais2ForCausalLM", "Jais2Config", dict(**SHAPE, **ROPE, head_dim=16), "Jais2ForCausalLM"),
    "qwen3-vl-moe": ("Qwen3VLMoeForConditionalGeneration", "Qwen3VLMoeConfig", dict(
        text_config=dict(
            **SHAPE, head_dim=16, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=48, rope_parameters=dict(
                rope_type="default", rope_theta=10000.0, mrope_section=[4, 2, 2], mrope_interleaved=True)),
        vision_config=dict(
            depth=1, hidden_size=32, intermediate_size=64, num_heads=2, out_hidden_size=64, num_position_embeddings=16,
            deepstack_visual_indexes=[0])), "Qwen3MoeForCausalLM"),
    "solar-open": ("SolarOpenForCausalLM", "SolarOpenConfig", dict(
        **{key: value for key, value in SHAPE.items() if key != "intermediate_size"} | dict(vocab_size=50264), **ROPE, head_dim=16, n_routed_experts=4,
        num_experts_per_tok=2, moe_intermediate_size=32, routed_scaling_factor=1.5), "Glm4MoeForCausalLM"),
    # The same base everywhere: llama.cpp has one.
    "mellum": ("MellumForCausalLM", "MellumConfig", dict(
        **SHAPE, head_dim=16, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, sliding_window=8,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"], rope_parameters=dict(
            full_attention=dict(rope_type="default", rope_theta=10000.0), sliding_attention=dict(rope_type="default", rope_theta=10000.0))),
        "MellumForCausalLM"),
}
# What published configurations state and transformers does not save.
STATED = {"solar-open": dict(intermediate_size=96, first_k_dense_replace=0, partial_rotary_factor=1.0)}
# How far llama.cpp may be from transformers, if not 1e-3: with interleaved components of positions, it deviates by itself.
LIMITS = {"qwen3-vl-moe": 3e-3}
# Tokens that the converter looks up by name.
ADDED_TOKENS = {"solar-open": ["<unk>", "<|startoftext|>"]}


@functools.cache
def model(name):
    kind, configuration, options, _ = MODELS[name]
    folder = WORK / f"later-{name}"
    TRANSFORMERS5.ask("make_random", kind=kind, configuration=configuration, options=options, out=str(folder))
    for file in shared("tokenizers/gpt2").iterdir():
        if file.name.startswith(("tokenizer", "vocab.json", "merges.txt", "special_tokens")):
            shutil.copyfile(file, folder / file.name)
    if name == "qwen3-vl-moe":
        # As published models have them. transformers transposes only when it loads.
        path = folder / "model.safetensors"
        tensors = {
            key: value.transpose(1, 2).contiguous() if ".mlp.experts." in key else value for key, value in load_file(path).items()}
        save_file(tensors, path, metadata=dict(format="pt"))
    add_tokens(folder / "tokenizer.json", ADDED_TOKENS.get(name, []))
    config = json.loads((folder / "config.json").read_text()) | STATED.get(name, {})
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@functools.cache
def f32_gguf(name):
    return convert(model(name), WORK / f"later-{name}.gguf", "--scheme", "f32")


@functools.cache
def rebuilt(name):
    return convert(f32_gguf(name), WORK / f"later-{name}.rebuilt", "--scheme", "f32")


def transformers_logits(kind, folder):
    out = WORK / "later.f32"
    TRANSFORMERS5.ask("logits_of", kind=kind, folder=str(folder), ids=IDS, out=str(out))
    return numpy.fromfile(out, "<f4")


def ids_file():
    path = WORK / "later.ids"
    path.write_text(" ".join(map(str, IDS)))
    return path


@check("GGUF of {}, which only a later transformers has: it equals that of llama.cpp's converter", ["qwen3-vl-moe"], slow_cases=MODELS)
def equals_converter(name):
    reference = llama_convert(model(name), WORK / f"later-{name}.reference.gguf", "f32")
    found = compare_metadata(name, f32_gguf(name), reference) + compare_tensors(f32_gguf(name), reference)
    require(not found, f"{len(found)} differences: {'; '.join(found[:4])}")


@check("logits of {}, which only a later transformers has: qconvert and llama.cpp agree with it", ["qwen3-vl-moe"], slow_cases=MODELS)
def logits_agree(name):
    expected = transformers_logits(MODELS[name][0], model(name))
    own = [deviation(own_logits(source, ids_file()), expected) for source in (model(name), f32_gguf(name))]
    out = WORK / "later.llama.f32"
    llama("llama-logits", f32_gguf(name), ids_file(), out)
    theirs = deviation(numpy.fromfile(out, "<f4"), expected)
    require(max(own) < 1e-4 and theirs < LIMITS.get(name, 1e-3), f"deviations {own[0]:.1e}, {own[1]:.1e}; of llama.cpp {theirs:.1e}")
    return f"{max(own):.1e}, llama.cpp {theirs:.1e}"


@check("folder of {} made from its GGUF: weights and logits are those of the original", ["qwen3-vl-moe"], slow_cases=MODELS)
def returns(name):
    back = transformers_logits(MODELS[name][3], rebuilt(name))
    measured = deviation(back, transformers_logits(MODELS[name][0], model(name)))
    require(measured < 1e-5, f"deviation {measured:.1e}")
    if MODELS[name][0] == MODELS[name][3]:
        expected, found = ({key: value.float() for key, value in load_file(folder / "model.safetensors").items()} for folder in (
            model(name), rebuilt(name)))
        require(expected.keys() == found.keys(), f"other tensors: {sorted(expected.keys() ^ found.keys())[:4]}")
        differing = [key for key, value in expected.items() if not torch.equal(value, found[key])]
        require(not differing, f"{len(differing)} tensors differ, such as {differing[:3]}")
    return f"{measured:.1e}"
