"""Models of classes that only a later transformers has: the GGUF is that of llama.cpp's converter, it becomes a folder again, and the logits
agree."""
import functools
import json
import re
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
ROUTED = dict(num_experts_per_tok=2, moe_intermediate_size=32, n_routed_experts=8, routed_scaling_factor=2.5)
LATENT = dict(
    **{**SHAPE, "num_key_value_heads": 4}, q_lora_rank=24, kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16)
# A query sees 8 of 24 tokens. So many heads that hardly a score is 0: of equal scores, each program takes others.
INDEXED = dict(**LATENT, **ROPE, **ROUTED, n_shared_experts=1, first_k_dense_replace=1, index_topk=8, index_head_dim=64, index_n_heads=16)
IDS = [token * 1237 % 50000 for token in range(1, 25)]
# The class, that of its configuration, what this states, and the class of a folder made from a GGUF.
MODELS = {
    "jais2": ("Jais2ForCausalLM", "Jais2Config", dict(**SHAPE, **ROPE, head_dim=16), "Jais2ForCausalLM"),
    # Sections of equal sizes: of other sizes, the last components are interleaved no more, and llama.cpp does not rotate some pairs of these in
    # a text (1.2e-3 for 4, 2, 2).
    "qwen3-vl-moe": ("Qwen3VLMoeForConditionalGeneration", "Qwen3VLMoeConfig", dict(
        text_config=dict(
            **SHAPE, head_dim=16, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=48, rope_parameters=dict(
                rope_type="default", rope_theta=10000.0, mrope_section=[3, 3, 2], mrope_interleaved=True)),
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
    "deepseek-v32": ("DeepseekV32ForCausalLM", "DeepseekV32Config", dict(**INDEXED, n_group=4, topk_group=2), "DeepseekV32ForCausalLM"),
    # The second block sees what the first one chose.
    "glm-dsa": ("GlmMoeDsaForCausalLM", "GlmMoeDsaConfig", dict(
        **INDEXED | dict(vocab_size=50264), n_group=1, topk_group=1, rms_norm_eps=1e-6, indexer_types=["full", "shared", "full"],
        mlp_layer_types=["dense", "sparse", "sparse"]), "GlmMoeDsaForCausalLM"),
    "mimo-v2": ("MiMoV2FlashForCausalLM", "MiMoV2FlashConfig", dict(
        **SHAPE, **ROUTED | dict(routed_scaling_factor=1.0), head_dim=24, v_head_dim=16, sliding_window=8,
        layer_types=["full_attention", "sliding_attention", "sliding_attention"], mlp_layer_types=["dense", "sparse", "sparse"]),
        "MiMoV2FlashForCausalLM"),
    "kimi-linear": ("KimiLinearForCausalLM", "KimiLinearConfig", dict(
        **{key: value for key, value in LATENT.items() if key != "max_position_embeddings"} | dict(q_lora_rank=None, model_max_length=256),
        moe_intermediate_size=32, num_experts_per_token=2, num_experts=8, num_shared_experts=1, linear_head_dim=16, linear_num_heads=4,
        layer_types=["linear_attention", "full_attention", "linear_attention"]), "KimiLinearForCausalLM"),
    "dbrx": ("DbrxForCausalLM", "DbrxConfig", dict(
        d_model=64, n_heads=4, n_layers=3, max_seq_len=256, vocab_size=50257, bos_token_id=1, eos_token_id=2,
        attn_config=dict(kv_n_heads=2, clip_qkv=0.5, rope_theta=10000.0),
        ffn_config=dict(ffn_hidden_size=32, moe_num_experts=4, moe_top_k=2, hidden_size=64)), "DbrxForCausalLM"),
    "laguna": ("LagunaForCausalLM", "LagunaConfig", dict(
        **SHAPE, head_dim=16, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=64,
        sliding_window=8, layer_types=["full_attention", "sliding_attention", "sliding_attention"], num_attention_heads_per_layer=[4, 8, 4],
        moe_routed_scaling_factor=1.5), "LagunaForCausalLM"),
    "laguna-channels": ("LagunaForCausalLM", "LagunaConfig", dict(
        **SHAPE, head_dim=16, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=32,
        gating="per-element", sliding_window=8, layer_types=["full_attention", "sliding_attention", "sliding_attention"]),
        "LagunaForCausalLM"),
    "minimax-01": ("MiniMaxForCausalLM", "MiniMaxConfig", dict(
        **SHAPE | dict(num_hidden_layers=8, intermediate_size=32), **ROPE, head_dim=16, num_local_experts=4, num_experts_per_tok=2,
        rms_norm_eps=1e-6, layer_types=["linear_attention"] * 7 + ["full_attention"], full_attn_alpha_factor=1.5,
        linear_attn_alpha_factor=1.5, mlp_alpha_factor=1.5), "MiniMaxForCausalLM"),
}
# What published configurations state and transformers does not save.
SIGMOID = dict(scoring_func="sigmoid", topk_method="noaux_tc")
STATED = {
    "solar-open": dict(intermediate_size=96, first_k_dense_replace=0, partial_rotary_factor=1.0),
    "deepseek-v32": SIGMOID, "glm-dsa": dict(**SIGMOID, first_k_dense_replace=1, moe_layer_freq=1),
    "mimo-v2": dict(
        **SIGMOID, swa_head_dim=24, swa_v_head_dim=16, swa_num_attention_heads=4, swa_num_key_value_heads=4, hybrid_layer_pattern=[0, 1, 1],
        moe_layer_freq=[0, 1, 1], layernorm_epsilon=1e-5, rms_norm_eps=1e-5, rope_theta=5000000.0, swa_rope_theta=10000.0,
        partial_rotary_factor=0.334, add_swa_attention_sink_bias=True, add_full_attention_sink_bias=False,
        rope_parameters=None, layer_types=None, mlp_layer_types=None),
    "kimi-linear": dict(
        linear_attn_config=dict(full_attn_layers=[2], kda_layers=[1, 3], head_dim=16, num_heads=4, short_conv_kernel_size=4),
        first_k_dense_replace=1, moe_layer_freq=1, moe_router_activation_func="sigmoid", num_experts_per_token=2, mla_use_nope=True,
        rope_theta=10000.0),
    "minimax-01": dict(
        architectures=["MiniMaxText01ForCausalLM"], attn_type_list=[0] * 7 + [1], rotary_dim=16, rope_theta=10000.0, **{
            f"layernorm_{kind}_{name}": value for kind in ("full_attention", "linear_attention", "mlp")
            for name, value in (("alpha", 1.5), ("beta", 1.0))}),
    "dbrx": dict(
        attn_config=dict(kv_n_heads=2, clip_qkv=0.5, rope_theta=10000.0),
        ffn_config=dict(ffn_hidden_size=32, moe_num_experts=4, moe_top_k=2, hidden_size=64)),
}
# What the converter must be told: it expects blocks that predict later tokens.
OPTIONS = {"mimo-v2": ["--no-mtp"]}
# What the converter wants a tokenizer to state.
TOKENIZERS = {"deepseek-v32": dict(add_bos_token=True)}
# Tokens that the converter looks up by name.
ADDED_TOKENS = {"solar-open": ["<unk>", "<|startoftext|>"], "glm-dsa": ["[gMASK]", "<|user|>", "<|observation|>"]}


def rename(path, name_of):
    """Gives tensors of a file the names that a function makes of theirs, and drops those for which it makes none."""
    tensors = {name_of(key): value for key, value in load_file(path).items()}
    save_file({key: value for key, value in tensors.items() if key}, path, metadata=dict(format="pt"))


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
    stated = folder / "tokenizer_config.json"
    stated.write_text(json.dumps(json.loads(stated.read_text()) | TOKENIZERS.get(name, {})))
    # A value of None takes a key away.
    stated = STATED.get(name, {})
    config = json.loads((folder / "config.json").read_text())
    config = {key: value for key, value in (config | stated).items() if stated.get(key, value) is not None or key not in stated}
    (folder / "config.json").write_text(json.dumps(config))
    if name == "kimi-linear":
        # transformers saves dense networks under the name of mixtures.
        rename(folder / "model.safetensors", lambda key: re.sub(r"block_sparse_moe\.(\w+_proj)", r"mlp.\1", key))
    if name == "minimax-01":
        # Published files have no tables of decays. The converter looks for rows of zeros in the shards that an index names.
        rename(folder / "model.safetensors", lambda key: None if key.endswith(("_decay", "slope_rate")) else key)
        names = load_file(folder / "model.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps(dict(weight_map={key: "model.safetensors" for key in names})))
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


def is_same(key, a, b):
    """Whether a weight came back. Logarithms of exponentials do so up to rounding."""
    return torch.allclose(a, b, rtol=1e-6, atol=1e-7) if key.endswith("A_log") else torch.equal(a, b)


def ids_file():
    path = WORK / "later.ids"
    path.write_text(" ".join(map(str, IDS)))
    return path


@check("GGUF of {}, which only a later transformers has: it equals that of llama.cpp's converter", ["qwen3-vl-moe"], slow_cases=MODELS)
def equals_converter(name):
    reference = llama_convert(model(name), WORK / f"later-{name}.reference.gguf", "f32", *OPTIONS.get(name, []))
    found = compare_metadata(name, f32_gguf(name), reference) + compare_tensors(f32_gguf(name), reference)
    require(not found, f"{len(found)} differences: {'; '.join(found[:4])}")


@check("logits of {}, which only a later transformers has: qconvert and llama.cpp agree with it", ["qwen3-vl-moe"], slow_cases=MODELS)
def logits_agree(name):
    expected = transformers_logits(MODELS[name][0], model(name))
    own = [deviation(own_logits(source, ids_file()), expected) for source in (model(name), f32_gguf(name))]
    out = WORK / "later.llama.f32"
    llama("llama-logits", f32_gguf(name), ids_file(), out)
    theirs = deviation(numpy.fromfile(out, "<f4"), expected)
    require(max(own) < 1e-4 and theirs < 1e-3, f"deviations {own[0]:.1e}, {own[1]:.1e}; of llama.cpp {theirs:.1e}")
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
        differing = [key for key, value in expected.items() if not is_same(key, value, found[key])]
        require(not differing, f"{len(differing)} tensors differ, such as {differing[:3]}")
    return f"{measured:.1e}"


@check("Q4_K_M of {}, which only a later transformers has: the file has llama-quantize's bytes", [], slow_cases=[
    name for name in MODELS if name in STATED])
def mix_equals(name):
    own, expected = convert(model(name), WORK / "later.own.gguf", "--scheme", "q4_k_m", "--force"), WORK / "later.expected.gguf"
    expected.unlink(missing_ok=True)
    llama("llama-quantize", f32_gguf(name), expected, "Q4_K_M")
    found = compare_tensors(own, expected, is_from_ggml=True)
    require(not found, f"{len(found)} differences: {'; '.join(found[:4])}")


@check("F16 of {}, which only a later transformers has: the file equals that of llama.cpp's converter", [], slow_cases=[
    "deepseek-v32", "kimi-linear"])
def half_equals(name):
    own = convert(model(name), WORK / "later.own.gguf", "--scheme", "f16", "--force")
    reference = llama_convert(model(name), WORK / f"later-{name}.half.gguf", "f16", *OPTIONS.get(name, []))
    found = compare_metadata(name, own, reference) + compare_tensors(own, reference)
    require(not found, f"{len(found)} differences: {'; '.join(found[:4])}")
