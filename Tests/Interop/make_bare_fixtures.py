#!/usr/bin/env python3
"""make_bare_fixtures.py OUT

Writes small random models of families whose classes the pinned transformers does not have, as Hugging Face folders (weights on the BF16
grid) without expectations: tests compare what is made of them with the models themselves. Their logits are compared with llama.cpp's in
checks/newer.py and checks/encoders.py."""
import json
import os
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file

from checks.newer import NEMOTRON, nemotron_shapes

OUT = sys.argv[1]
SMALL = dict(vocab_size=96, hidden_size=32, num_attention_heads=4, bos_token_id=0, eos_token_id=1)
COMMON = dict(**SMALL, intermediate_size=48, num_hidden_layers=2, num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5)


def write(name, config, tensors):
    folder = os.path.join(OUT, name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file, indent=2)
        file.write("\n")
    save_file({key: value.to(torch.bfloat16).contiguous() for key, value in tensors.items()}, os.path.join(folder, "model.safetensors"))


def random(shapes, seed=7):
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for key, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        tensors[key] = 1 + 0.2 * noise if "norm" in key or "_ln" in key else noise * 1.2 / shape[-1] ** 0.5
    return tensors


def of(model):
    """The shapes of a model of transformers."""
    return {key: list(value.shape) for key, value in model.state_dict().items()}


def nomic_shapes(c):
    width, inner = c["n_embd"], c["n_inner"]
    shapes = {
        "embeddings.word_embeddings.weight": [c["vocab_size"], width],
        "embeddings.token_type_embeddings.weight": [c["type_vocab_size"], width], "emb_ln.weight": [width], "emb_ln.bias": [width]}
    for block in range(c["n_layer"]):
        prefix = f"encoder.layers.{block}."
        shapes |= {
            f"{prefix}attn.Wqkv.weight": [3 * width, width], f"{prefix}attn.out_proj.weight": [width, width],
            f"{prefix}mlp.fc11.weight": [inner, width], f"{prefix}mlp.fc12.weight": [inner, width], f"{prefix}mlp.fc2.weight": [width, inner]}
        shapes |= {f"{prefix}norm{i}.{part}": [width] for i in (1, 2) for part in ("weight", "bias")}
    return shapes


def qwen35():
    """The fixture of Qwen3-Next with the matrices of delta nets in separate tensors."""
    source = os.path.join(OUT, "qwen3-next")
    with open(os.path.join(source, "config.json")) as file:
        c = json.load(file)
    keys, size = c["linear_num_key_heads"], c["linear_key_head_dim"]
    share = c["linear_num_value_heads"] // keys
    values = share * c["linear_value_head_dim"]
    tensors = {}
    for key, value in load_file(os.path.join(source, "model.safetensors")).items():
        width = value.shape[-1]
        if key.endswith("in_proj_qkvz.weight"):
            q, k, v, z = (part.reshape(-1, width) for part in value.view(keys, -1, width).split([size, size, values, values], dim=1))
            tensors |= {key.replace("qkvz", "qkv"): torch.cat([q, k, v]), key.replace("qkvz", "z"): z}
        elif key.endswith("in_proj_ba.weight"):
            b, a = (part.reshape(-1, width) for part in value.view(keys, -1, width).split([share, share], dim=1))
            tensors |= {key.replace("_ba", "_b"): b, key.replace("_ba", "_a"): a}
        else:
            tensors[key] = value
    theta, part = c.pop("rope_theta", 10000.0), c.pop("partial_rotary_factor", 0.25)
    c |= dict(
        architectures=["Qwen3_5MoeForCausalLM"], model_type="qwen3_5_moe_text", rope_parameters=dict(
            rope_type="default", rope_theta=theta, partial_rotary_factor=part, mrope_interleaved=True, mrope_section=[1, 1, 0]))
    return c, tensors


def main():
    nemotron = {
        **NEMOTRON, **SMALL, "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 48, "mamba_num_heads": 8, "mamba_head_dim": 8,
        "ssm_state_size": 12, "num_hidden_layers": 3, "hybrid_override_pattern": "M*E", "num_experts_per_tok": 2,
        "moe_intermediate_size": 24, "norm_topk_prob": True, "routed_scaling_factor": 2.5, "n_routed_experts": 4, "n_shared_experts": 1,
        "moe_shared_expert_intermediate_size": 40, "moe_latent_size": 16, "n_group": 1, "topk_group": 1}
    write("nemotron-h", nemotron, random(nemotron_shapes(nemotron)))
    nomic = dict(
        architectures=["NomicBertModel"], model_type="nomic_bert", vocab_size=96, n_embd=32, n_layer=2, n_head=4, n_inner=48,
        n_positions=128, type_vocab_size=2, layer_norm_epsilon=1e-12, activation_function="swiglu", rotary_emb_base=1000,
        rotary_emb_fraction=1.0, qkv_proj_bias=False, mlp_fc1_bias=False, mlp_fc2_bias=False, prenorm=False, causal=False, use_rms_norm=False)
    write("nomic-bert", nomic, random(nomic_shapes(nomic)))
    llama = transformers.LlamaModel(transformers.LlamaConfig(**COMMON))
    write("eurobert", dict(**COMMON, architectures=["EuroBertModel"], model_type="eurobert", hidden_act="silu"), random(of(llama)))
    qwen = transformers.Qwen2Config(**COMMON, tie_word_embeddings=True)
    write("qwen2-model", qwen.to_dict() | dict(architectures=["Qwen2Model"]), random(of(transformers.Qwen2Model(qwen))))
    vision = dict(depth=1, hidden_size=32, intermediate_size=48, num_heads=2, out_hidden_size=32, fullatt_block_indexes=[0])
    both = transformers.Qwen2_5_VLConfig(
        text_config=dict(**COMMON, rope_scaling=dict(type="mrope", mrope_section=[2, 1, 1])), vision_config=vision,
        tie_word_embeddings=False)
    model = transformers.Qwen2_5_VLForConditionalGeneration(both)
    write("qwen2.5-vl", both.to_dict() | dict(architectures=["Qwen2_5_VLForConditionalGeneration"]), random(of(model)))
    write("qwen3.5", *qwen35())


main()
