"""Models whose classes the pinned transformers does not have, made tensor by tensor: llama.cpp is the judge of the logits, and its
converter of the metadata. Qwen3.5 is Qwen3-Next with its matrices stored in another way, so transformers can judge it too."""
import functools
import json
import re
import shutil

import numpy
import torch
import transformers
from safetensors.torch import save_file

from checks.logits import deviation, own_logits
from checks.metadata import compare_metadata
from clients import WORK, convert, llama, llama_convert, shared
from gguf_files import compare_tensors
from models import random_ids, random_model
from registry import check, require

SHAPE = dict(
    vocab_size=50264, hidden_size=64, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=False,
    bos_token_id=1, eos_token_id=2)
ROUTED = dict(num_experts_per_tok=2, moe_intermediate_size=96, norm_topk_prob=True, routed_scaling_factor=1.0)
NEMOTRON = dict(
    **SHAPE, architectures=["NemotronHForCausalLM"], model_type="nemotron_h", head_dim=16, intermediate_size=160, layer_norm_epsilon=1e-5,
    mlp_hidden_act="relu2", mamba_hidden_act="silu", mamba_num_heads=4, mamba_head_dim=32, n_groups=2, ssm_state_size=32, conv_kernel=4,
    use_conv_bias=True, use_bias=False, mlp_bias=False, attention_bias=False, chunk_size=8, num_hidden_layers=4)
GEMMA4 = dict(
    **SHAPE | dict(vocab_size=32000, tie_word_embeddings=True), architectures=["Gemma4ForCausalLM"], model_type="gemma4_text", head_dim=32,
    global_head_dim=64, intermediate_size=160, rms_norm_eps=1e-6, sliding_window=8, final_logit_softcapping=15.0,
    layer_types=["sliding_attention", "full_attention"] * 2, num_hidden_layers=4, hidden_activation="gelu_pytorch_tanh",
    rope_parameters=dict(
        full_attention=dict(rope_type="proportional", rope_theta=1000000.0, partial_rotary_factor=0.25),
        sliding_attention=dict(rope_type="default", rope_theta=10000.0)))
CONFIGURATIONS = {
    # The last two blocks have no keys and values of their own; every block has an embedding of the token.
    "gemma4": dict(
        **GEMMA4, num_kv_shared_layers=2, use_double_wide_mlp=True, hidden_size_per_layer_input=32, vocab_size_per_layer_input=32000,
        moe_intermediate_size=None),
    # Keys are values in blocks that attend to everything; experts beside a feed-forward network.
    "gemma4-moe": dict(
        **GEMMA4, num_kv_shared_layers=0, num_global_key_value_heads=1, attention_k_eq_v=True, hidden_size_per_layer_input=0,
        enable_moe_block=True, num_experts=8, top_k_experts=2, moe_intermediate_size=96),
    "nemotron-h": dict(**NEMOTRON, hybrid_override_pattern="M-*-"),
    "nemotron-h-moe": dict(**{
        **NEMOTRON, **ROUTED, "hybrid_override_pattern": "ME*E", "routed_scaling_factor": 2.5}, n_routed_experts=8, n_shared_experts=1,
        moe_shared_expert_intermediate_size=128, n_group=1, topk_group=1),
    # Experts work in a space of fewer channels.
    "nemotron-h-latent": dict(**{
        **NEMOTRON, **ROUTED, "hybrid_override_pattern": "ME*E", "routed_scaling_factor": 2.5}, n_routed_experts=8, n_shared_experts=1,
        moe_shared_expert_intermediate_size=128, moe_latent_size=32, n_group=1, topk_group=1),
    "cohere2-moe": dict(
        **SHAPE | dict(tie_word_embeddings=True), architectures=["Cohere2MoeForCausalLM"], model_type="cohere2_moe", head_dim=16,
        intermediate_size=96, layer_norm_eps=1e-5, num_hidden_layers=4, num_experts=4, num_experts_per_tok=2, num_shared_experts=1,
        norm_topk_prob=True, expert_selection_fn="sigmoid", shared_expert_combination_strategy="average", sliding_window=8,
        layer_types=["sliding_attention"] * 3 + ["full_attention"], mlp_layer_types=["sparse"] * 4, logit_scale=0.25, rope_theta=10000.0,
        rotary_pct=1.0),
    "lfm2-moe": dict(
        **SHAPE, **ROUTED, architectures=["Lfm2MoeForCausalLM"], model_type="lfm2_moe", intermediate_size=160, norm_eps=1e-5,
        num_hidden_layers=3, layer_types=["conv", "full_attention", "conv"], conv_L_cache=3, conv_bias=False, num_experts=8,
        num_dense_layers=1, use_expert_bias=True, rope_theta=1000000.0) | dict(tie_word_embeddings=True),
}


def mamba_shapes(prefix, c):
    inner, shared_size = c["mamba_num_heads"] * c["mamba_head_dim"], c["n_groups"] * c["ssm_state_size"]
    heads, channels = c["mamba_num_heads"], inner + 2 * shared_size
    return {
        f"{prefix}in_proj.weight": [inner + channels + heads, c["hidden_size"]], f"{prefix}conv1d.weight": [channels, 1, c["conv_kernel"]],
        f"{prefix}conv1d.bias": [channels], f"{prefix}dt_bias": [heads], f"{prefix}A_log": [heads], f"{prefix}D": [heads],
        f"{prefix}norm.weight": [inner], f"{prefix}out_proj.weight": [c["hidden_size"], inner]}


def attention_shapes(prefix, c, output="o_proj"):
    size = c.get("head_dim", c["hidden_size"] // c["num_attention_heads"])
    queries, keys = c["num_attention_heads"] * size, c["num_key_value_heads"] * size
    return {
        f"{prefix}q_proj.weight": [queries, c["hidden_size"]], f"{prefix}k_proj.weight": [keys, c["hidden_size"]],
        f"{prefix}v_proj.weight": [keys, c["hidden_size"]], f"{prefix}{output}.weight": [c["hidden_size"], queries]}


def nemotron_shapes(c):
    width = c["hidden_size"]
    shapes = {"backbone.embeddings.weight": [c["vocab_size"], width], "backbone.norm_f.weight": [width], "lm_head.weight": [c["vocab_size"], width]}
    for block, kind in enumerate(c["hybrid_override_pattern"]):
        mixer = f"backbone.layers.{block}.mixer."
        shapes[f"backbone.layers.{block}.norm.weight"] = [width]

        def network(prefix, size, width=width):
            return {f"{prefix}up_proj.weight": [size, width], f"{prefix}down_proj.weight": [width, size]}

        if kind == "M":
            shapes |= mamba_shapes(mixer, c)
        elif kind == "*":
            shapes |= attention_shapes(mixer, c)
        elif kind == "-":
            shapes |= network(mixer, c["intermediate_size"])
        else:
            shapes |= {f"{mixer}gate.weight": [c["n_routed_experts"], width], f"{mixer}gate.e_score_correction_bias": [c["n_routed_experts"]]}
            latent = c.get("moe_latent_size")
            if latent:
                shapes |= {f"{mixer}fc1_latent_proj.weight": [latent, width], f"{mixer}fc2_latent_proj.weight": [width, latent]}
            for expert in range(c["n_routed_experts"]):
                shapes |= network(f"{mixer}experts.{expert}.", c["moe_intermediate_size"], latent or width)
            shapes |= network(f"{mixer}shared_experts.", c["moe_shared_expert_intermediate_size"])
    return shapes


def lfm2_shapes(c):
    width = c["hidden_size"]
    size = width // c["num_attention_heads"]
    shapes = {"model.embed_tokens.weight": [c["vocab_size"], width], "model.embedding_norm.weight": [width]}
    for block, kind in enumerate(c["layer_types"]):
        prefix = f"model.layers.{block}."

        def network(prefix, inner):
            return {f"{prefix}w1.weight": [inner, width], f"{prefix}w3.weight": [inner, width], f"{prefix}w2.weight": [width, inner]}

        shapes |= {f"{prefix}operator_norm.weight": [width], f"{prefix}ffn_norm.weight": [width]}
        if kind == "conv":
            shapes |= {
                f"{prefix}conv.in_proj.weight": [3 * width, width], f"{prefix}conv.conv.weight": [width, 1, c["conv_L_cache"]],
                f"{prefix}conv.out_proj.weight": [width, width]}
        else:
            shapes |= attention_shapes(f"{prefix}self_attn.", c, "out_proj")
            shapes |= {f"{prefix}self_attn.{x}_layernorm.weight": [size] for x in "qk"}
        if block < c["num_dense_layers"]:
            shapes |= network(f"{prefix}feed_forward.", c["intermediate_size"])
        else:
            shapes |= {f"{prefix}feed_forward.gate.weight": [c["num_experts"], width], f"{prefix}feed_forward.expert_bias": [c["num_experts"]]}
            for expert in range(c["num_experts"]):
                shapes |= network(f"{prefix}feed_forward.experts.{expert}.", c["moe_intermediate_size"])
    return shapes


def cohere_shapes(c):
    width, inner = c["hidden_size"], c["intermediate_size"]
    shapes = {"model.embed_tokens.weight": [c["vocab_size"], width], "model.norm.weight": [width]}
    for block in range(c["num_hidden_layers"]):
        prefix = f"model.layers.{block}."
        shapes |= attention_shapes(f"{prefix}self_attn.", c)
        shapes |= {f"{prefix}input_layernorm.weight": [width], f"{prefix}mlp.gate.weight": [c["num_experts"], width]}
        for part in ["shared_experts", *(f"experts.{expert}" for expert in range(c["num_experts"]))]:
            shapes |= {f"{prefix}mlp.{part}.{name}_proj.weight": [inner, width] for name in ("gate", "up")}
            shapes[f"{prefix}mlp.{part}.down_proj.weight"] = [width, inner]
    return shapes


def gemma_shapes(c):
    width, own = c["hidden_size"], c["hidden_size_per_layer_input"]
    shapes = {"model.embed_tokens.weight": [c["vocab_size"], width], "model.norm.weight": [width]}
    if own:
        all_blocks = own * c["num_hidden_layers"]
        shapes |= {
            "model.embed_tokens_per_layer.weight": [c["vocab_size"], all_blocks], "model.per_layer_projection_norm.weight": [own],
            "model.per_layer_model_projection.weight": [all_blocks, width]}
    for block, kind in enumerate(c["layer_types"]):
        prefix = f"model.layers.{block}."
        is_full, shares = kind == "full_attention", block >= c["num_hidden_layers"] - c["num_kv_shared_layers"]
        size = c["global_head_dim"] if is_full else c["head_dim"]
        heads = c.get("num_global_key_value_heads") if is_full else None
        sizes = dict(c, head_dim=size, num_key_value_heads=heads or c["num_key_value_heads"])
        attention = attention_shapes(f"{prefix}self_attn.", sizes) | {f"{prefix}self_attn.{x}_norm.weight": [size] for x in "qk"}
        absent = ("k_proj", "v_proj", "k_norm") if shares else ("v_proj",) if is_full and c.get("attention_k_eq_v") else ()
        shapes |= {key: shape for key, shape in attention.items() if not key.split(".")[-2] in absent}
        inner = c["intermediate_size"] * (2 if shares and c.get("use_double_wide_mlp") else 1)
        shapes |= {
            f"{prefix}mlp.gate_proj.weight": [inner, width], f"{prefix}mlp.up_proj.weight": [inner, width],
            f"{prefix}mlp.down_proj.weight": [width, inner], f"{prefix}layer_scalar": [1]}
        norms = ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"]
        if own:
            shapes |= {f"{prefix}per_layer_input_gate.weight": [own, width], f"{prefix}per_layer_projection.weight": [width, own]}
            norms.append("post_per_layer_input_norm")
        if c.get("enable_moe_block"):
            count, inner = c["num_experts"], c["moe_intermediate_size"]
            norms += ["post_feedforward_layernorm_1", "post_feedforward_layernorm_2", "pre_feedforward_layernorm_2"]
            shapes |= {
                f"{prefix}router.proj.weight": [count, width], f"{prefix}router.scale": [width], f"{prefix}router.per_expert_scale": [count],
                f"{prefix}experts.gate_up_proj": [count, 2 * inner, width], f"{prefix}experts.down_proj": [count, width, inner]}
        shapes |= {f"{prefix}{norm}.weight": [width] for norm in norms}
    return shapes


def write(name, configuration, tensors, tokenizer="gpt2"):
    """A folder with a tokenizer."""
    folder = WORK / name
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(configuration))
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "model.safetensors", metadata=dict(format="pt"))
    for file in shared(f"tokenizers/{tokenizer}").iterdir():
        if file.name.startswith(("tokenizer", "vocab.json", "merges.txt", "special_tokens")):
            shutil.copyfile(file, folder / file.name)
    return folder


@functools.cache
def handmade(name):
    c = CONFIGURATIONS[name]
    torch.manual_seed(5)
    tensors = {}
    is_gemma = name.startswith("gemma")
    shapes = dict(gemma=gemma_shapes, lfm2=lfm2_shapes, cohere2=cohere_shapes, nemotron=nemotron_shapes)
    for key, shape in shapes[re.match("gemma|[a-z0-9]*", name)[0]](c).items():
        noise = torch.randn(shape)
        tensors[key] = 1 + 0.2 * noise if any(word in key for word in ("norm", "scal")) else 0.1 * noise
    return write(name, c, tensors, "mistral-7b" if is_gemma else "gpt2")


@functools.cache
def qwen35(name):
    """Qwen3-Next's random model as Qwen3.5 stores it, dense if the name says so; the folder and transformers' logits."""
    source = WORK / f"{name}.next"
    shutil.copytree(random_model("qwen3-next"), source, dirs_exist_ok=True)
    config = transformers.AutoConfig.from_pretrained(source)
    if name == "qwen3.5":
        config.mlp_only_layers = list(range(config.num_hidden_layers))
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    for key, parameter in model.named_parameters():
        noise = torch.randn_like(parameter)
        parameter.copy_((0.2 * noise).bfloat16() if key.endswith("norm.weight") else 0.1 * noise)
    logits = model(torch.tensor([random_ids("qwen3-next")])).logits[0]
    keys, size = config.linear_num_key_heads, config.linear_key_head_dim
    share = config.linear_num_value_heads // keys
    values = share * config.linear_value_head_dim
    tensors = {}
    for key, value in model.state_dict().items():
        if key.endswith("in_proj_qkvz.weight"):
            parts = value.view(keys, -1, value.shape[1]).split([size, size, values, values], dim=1)
            q, k, v, z = (part.reshape(-1, value.shape[1]) for part in parts)
            tensors[key.replace("qkvz", "qkv")] = torch.cat([q, k, v])
            tensors[key.replace("qkvz", "z")] = z
        elif key.endswith("in_proj_ba.weight"):
            b, a = value.view(keys, -1, value.shape[1]).split([share, share], dim=1)
            tensors[key.replace("_ba", "_b")] = b.reshape(-1, value.shape[1])
            tensors[key.replace("_ba", "_a")] = a.reshape(-1, value.shape[1])
        else:
            tensors[key] = value
    kind = "qwen3_5_text" if name == "qwen3.5" else "qwen3_5_moe_text"
    stated = config.to_dict() | dict(
        architectures=["Qwen3_5ForCausalLM" if name == "qwen3.5" else "Qwen3_5MoeForCausalLM"], model_type=kind, mlp_only_layers=[],
        rope_parameters=dict(
            rope_type="default", rope_theta=config.rope_theta, partial_rotary_factor=config.partial_rotary_factor, mrope_interleaved=True,
            mrope_section=[2, 1, 1]))
    if name == "qwen3.5":
        stated = {key: value for key, value in stated.items() if "expert" not in key and not key.startswith("moe_")}
    return write(name, stated, tensors), logits


def folder(name):
    return qwen35(name)[0] if name.startswith("qwen") else handmade(name)


@functools.cache
def f32_gguf(name):
    return convert(folder(name), WORK / f"{name}.gguf", "--scheme", "f32")


NAMES = [*CONFIGURATIONS, "qwen3.5", "qwen3.5-moe"]


@check("GGUF of {} in F32 equals that of llama.cpp's converter", ["nemotron-h", "qwen3.5", "gemma4-moe"], slow_cases=NAMES)
def equals_converter(name):
    options = ["--no-mtp"] if name.startswith("qwen") else []
    reference = llama_convert(folder(name), WORK / f"{name}.reference.gguf", "f32", *options)
    found = compare_metadata(name, f32_gguf(name), reference) + compare_tensors(f32_gguf(name), reference)
    require(not found, f"{len(found)} differences: {'; '.join(found[:4])}")


@check("logits of {}: llama.cpp gives those of qconvert, from the folder and from the GGUF", NAMES)
def llama_agrees(name):
    ids = WORK / f"{name}.ids"
    # Within every vocabulary.
    ids.write_text(" ".join(str(token % 32000) for token in random_ids("qwen3-next")))
    out = WORK / "newer.f32"
    llama("llama-logits", f32_gguf(name), ids, out)
    expected = numpy.fromfile(out, "<f4")
    measured = [deviation(own_logits(model, ids), expected) for model in (folder(name), f32_gguf(name))]
    # llama.cpp has the GELU of Gemma as a table of half-precision numbers; transformers 5.24 agrees with qconvert within 4e-6.
    limit = 5e-3 if name.startswith("gemma") else 1e-3
    require(max(measured) < limit, f"deviations {measured[0]:.1e}, {measured[1]:.1e}")
    return f"{measured[0]:.1e}, {measured[1]:.1e}"


@check("logits of {}: qconvert gives those of transformers for the same weights", ["qwen3.5", "qwen3.5-moe"])
def transformers_agrees(name):
    model, expected = qwen35(name)
    ids = WORK / f"{name}.ids"
    ids.write_text(" ".join(map(str, random_ids("qwen3-next"))))
    measured = deviation(own_logits(model, ids), expected)
    require(measured < 1e-4, f"deviation {measured:.1e}")
    return f"{measured:.1e}"
