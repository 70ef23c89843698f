#!/usr/bin/env python3
"""make_engine_fixtures.py SHARED OUT [MODEL ...]

Writes the fixtures of Tests/Engine: small random models of every supported family as Hugging Face folders (weights on the
BF16 grid), each with `expected.safetensors`: token ids, logits and the mean absolute inputs of the second block's linear
layers, as transformers computes them in float32. For the trained models in SHARED/models, only the expectations are written,
with the perplexity of the first windows of wikitext2-valid. With MODELs, only these are written. Run with the versions pinned in
requirements.txt, those of NEWER_MODELS with transformers 5.24."""
import json
import math
import os
import sys

import torch
import transformers
from safetensors.torch import save_file

SHARED, OUT, ONLY = sys.argv[1], sys.argv[2], sys.argv[3:]
COMMON = dict(
    vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=128, rms_norm_eps=1e-5, tie_word_embeddings=False, bos_token_id=0, eos_token_id=1)
LLAMA3 = dict(
    rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
OPT = dict(
    vocab_size=96, hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64,
    activation_function="relu", bos_token_id=0, eos_token_id=1, pad_token_id=1)
NEOX = dict(
    vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=128,
    bos_token_id=0, eos_token_id=1)
LAYER_NORMS = dict(**NEOX, tie_word_embeddings=False)
FALCON = dict(
    vocab_size=96, hidden_size=32, ffn_hidden_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=128,
    bos_token_id=0, eos_token_id=1)
MOE = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24)
LATENT = dict(
    **{**COMMON, "num_key_value_heads": 4, "rms_norm_eps": 1e-6}, q_lora_rank=20, kv_lora_rank=32, qk_nope_head_dim=32, qk_rope_head_dim=4,
    v_head_dim=6, moe_intermediate_size=16, num_experts_per_tok=2, n_routed_experts=8, first_k_dense_replace=1,
    routed_scaling_factor=1.5)
DEEPSEEK_YARN = dict(
    type="yarn", factor=4.0, original_max_position_embeddings=32, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0)
MODELS = {
    "llama3-rope": transformers.LlamaConfig(**COMMON, head_dim=16, rope_theta=1000.0, rope_scaling=LLAMA3),
    "llama-biases": transformers.LlamaConfig(
        **{**COMMON, "tie_word_embeddings": True, "num_key_value_heads": 4}, attention_bias=True, mlp_bias=True,
        rope_scaling=dict(rope_type="linear", factor=4.0)),
    "mistral-window": transformers.MistralConfig(**COMMON, sliding_window=7),
    "qwen2": transformers.Qwen2Config(**COMMON, use_sliding_window=False, rope_theta=1000000.0),
    "qwen3": transformers.Qwen3Config(**COMMON, head_dim=12),
    "mixtral": transformers.MixtralConfig(**COMMON, num_local_experts=4, num_experts_per_tok=2, rope_theta=10000.0),
    # A window in every other block; linear scaling only in the blocks without one.
    "gemma3": transformers.Gemma3TextConfig(
        **{**COMMON, "tie_word_embeddings": True, "num_hidden_layers": 3}, head_dim=16, query_pre_attn_scalar=16, sliding_window=7,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"], rope_theta=1000.0, rope_local_base_freq=100.0,
        rope_scaling=dict(rope_type="linear", factor=4.0)),
    # Features of no published model that the class allows: capped logits, and a separate output matrix.
    "gemma3-cap": transformers.Gemma3TextConfig(
        **COMMON, head_dim=16, query_pre_attn_scalar=40, sliding_window=7, final_logit_softcapping=3.0),
    # Experts of another size than a dense network; the second of each pair has a dense block before one with experts, and features that
    # the first does not have.
    "qwen2-moe": transformers.Qwen2MoeConfig(**COMMON, **MOE, shared_expert_intermediate_size=40, norm_topk_prob=False),
    "qwen2-moe-dense": transformers.Qwen2MoeConfig(
        **{**COMMON, "tie_word_embeddings": True}, **MOE, shared_expert_intermediate_size=16, norm_topk_prob=True, mlp_only_layers=[0],
        qkv_bias=False),
    "qwen3-moe": transformers.Qwen3MoeConfig(**COMMON, **MOE, head_dim=12, norm_topk_prob=True),
    "qwen3-moe-dense": transformers.Qwen3MoeConfig(
        **{**COMMON, "tie_word_embeddings": True}, **MOE, head_dim=8, norm_topk_prob=False, decoder_sparse_step=2, attention_bias=True,
        use_sliding_window=True, sliding_window=7),
    "deepseek-v3": transformers.DeepseekV3Config(**LATENT, n_shared_experts=1, n_group=4, topk_group=2),
    # Queries without a latent, rotated halves, biases, unnormalised expert weights.
    "deepseek-v3-yarn": transformers.DeepseekV3Config(
        **{**LATENT, "q_lora_rank": None}, n_shared_experts=2, n_group=1, topk_group=1, norm_topk_prob=False, rope_interleave=False,
        attention_bias=True, rope_scaling=DEEPSEEK_YARN),
    "opt": transformers.OPTConfig(**OPT),
    # Like the model of 350 million weights: norms after the branches, embeddings narrower than the blocks, no final norm.
    "opt-post-norm": transformers.OPTConfig(**OPT, do_layer_norm_before=False, word_embed_proj_dim=16),
    # Like Galactica: another activation, no biases, a separate output matrix.
    "opt-gelu": transformers.OPTConfig(**{**OPT, "activation_function": "gelu"}, enable_bias=False, tie_word_embeddings=False),
    "gpt2": transformers.GPT2Config(vocab_size=96, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=0, eos_token_id=1),
    # Three heads of a size that is not a power of two; four heads.
    "bloom": transformers.BloomConfig(vocab_size=96, hidden_size=36, n_layer=2, n_head=3, bos_token_id=0, eos_token_id=1),
    "bloom-residual": transformers.BloomConfig(
        vocab_size=96, hidden_size=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=1,
        apply_residual_connection_post_layernorm=True),
    # Fused matrices; three quarters of each head rotated.
    "phi3": transformers.Phi3Config(**COMMON, pad_token_id=None, partial_rotary_factor=0.75),
    # Half of each head rotated, in neighbours; norms over the outputs of branches in the first only.
    "glm4": transformers.Glm4Config(**COMMON, head_dim=16, pad_token_id=None),
    "glm": transformers.GlmConfig(**COMMON, head_dim=8, pad_token_id=None, attention_bias=False),
    "phi2": transformers.PhiConfig(**COMMON, layer_norm_eps=1e-5),
    "gpt-neox": transformers.GPTNeoXConfig(**NEOX, rotary_pct=0.25, rotary_emb_base=1000),
    "gpt-neox-sequential": transformers.GPTNeoXConfig(**NEOX, rotary_pct=1.0, use_parallel_residual=False),
    "starcoder2": transformers.Starcoder2Config(**{**COMMON, "tie_word_embeddings": True}, sliding_window=None),
    "stablelm": transformers.StableLmConfig(**COMMON, use_qkv_bias=True, partial_rotary_factor=0.5),
    "stablelm-parallel": transformers.StableLmConfig(**COMMON, use_parallel_residual=True, partial_rotary_factor=0.5),
    # One key-value head and one norm; two of each.
    "falcon": transformers.FalconConfig(**FALCON, num_kv_heads=1),
    "falcon-new": transformers.FalconConfig(**FALCON, new_decoder_architecture=True, num_kv_heads=2),
    "gpt-bigcode": transformers.GPTBigCodeConfig(
        vocab_size=96, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=0, eos_token_id=1),
    # YaRN's ramp ends at fractional dimensions.
    "gpt-oss": transformers.GptOssConfig(
        **{**COMMON, "intermediate_size": 64}, head_dim=16, num_local_experts=4, num_experts_per_tok=2, sliding_window=8,
        rope_theta=1000.0, rope_scaling=dict(
            rope_type="yarn", factor=4.0, beta_fast=32.0, beta_slow=1.0, truncate=False, original_max_position_embeddings=32)),
}
GRANITE = dict(embedding_multiplier=6.0, attention_multiplier=0.25, residual_multiplier=0.4, logits_scaling=4.0)
FOUR = {**COMMON, "num_hidden_layers": 4}
MODELS |= {
    "granite": transformers.GraniteConfig(**COMMON, **GRANITE, attention_bias=True, mlp_bias=True),
    "granite-moe": transformers.GraniteMoeSharedConfig(
        **COMMON, **GRANITE, num_local_experts=4, num_experts_per_tok=2, shared_intermediate_size=40),
    "olmo2": transformers.Olmo2Config(**COMMON),
    # Windows in three of four blocks, and YaRN in the other.
    "olmo3": transformers.Olmo3Config(
        **FOUR, sliding_window=7, rope_scaling=dict(
            rope_type="yarn", factor=4.0, beta_fast=32.0, beta_slow=1.0, original_max_position_embeddings=32)),
    "smollm3": transformers.SmolLM3Config(**{**FOUR, "tie_word_embeddings": True, "pad_token_id": 1}),
    "seed-oss": transformers.SeedOssConfig(**COMMON, head_dim=12, attention_bias=True, attention_out_bias=False),
    # No rotary embedding in the last block; a model of this few blocks has no place in a GGUF.
    "exaone4": transformers.Exaone4Config(
        **COMMON, sliding_window=None, layer_types=["full_attention"] * 2, rope_theta=1000.0, rope_scaling=LLAMA3),
    "exaone4-window": transformers.Exaone4Config(**FOUR, sliding_window=7),
    "ernie4.5": transformers.Ernie4_5Config(**COMMON, head_dim=12),
    "hunyuan": transformers.HunYuanDenseV1Config(**COMMON, head_dim=12),
    "gemma": transformers.GemmaConfig(**{**COMMON, "tie_word_embeddings": True}, head_dim=16),
    "gemma2": transformers.Gemma2Config(
        **{**COMMON, "tie_word_embeddings": True}, head_dim=16, query_pre_attn_scalar=16, sliding_window=7,
        attn_logit_softcapping=2.0, final_logit_softcapping=3.0),
    "olmoe": transformers.OlmoeConfig(**{**COMMON, "num_key_value_heads": 4}, num_experts=4, num_experts_per_tok=2),
    "glm4-moe": transformers.Glm4MoeConfig(
        **COMMON, head_dim=12, attention_bias=True, use_qk_norm=True, moe_intermediate_size=24, n_routed_experts=4, num_experts_per_tok=2,
        n_shared_experts=1, first_k_dense_replace=1, routed_scaling_factor=1.5, partial_rotary_factor=0.5),
    "cohere": transformers.CohereConfig(**{**COMMON, "tie_word_embeddings": True}, logit_scale=0.25),
    "cohere2": transformers.Cohere2Config(**{**FOUR, "tie_word_embeddings": True}, logit_scale=0.25, sliding_window=7),
}
MAMBA2 = dict(mamba_n_heads=8, mamba_d_head=8, mamba_n_groups=1, mamba_d_state=12, mamba_d_conv=4, mamba_expand=2, mamba_chunk_size=8)
RECURRENT = dict(vocab_size=96, hidden_size=32, num_hidden_layers=2, expand=2, conv_kernel=4, bos_token_id=0, eos_token_id=1)
# The second block mixes tokens without an attention; transformers computes recurrences in chunks of another length than the sequence.
MODELS |= {
    "lfm2": transformers.Lfm2Config(
        **{**COMMON, "tie_word_embeddings": True}, norm_eps=1e-5, block_auto_adjust_ff_dim=False, layer_types=["full_attention", "conv"]),
    "granite-hybrid": transformers.GraniteMoeHybridConfig(
        **COMMON, **GRANITE, **MAMBA2, num_local_experts=4, num_experts_per_tok=2, shared_intermediate_size=40,
        layer_types=["attention", "mamba"]),
    "falcon-h1": transformers.FalconH1Config(
        **COMMON, head_dim=8, **MAMBA2, mamba_d_ssm=64, mamba_rms_norm=True, mamba_norm_before_gate=False, lm_head_multiplier=0.5,
        embedding_multiplier=3.0, mlp_multipliers=[0.8, 0.6], key_multiplier=0.7, attention_out_multiplier=0.9,
        attention_in_multiplier=1.1, ssm_multipliers=[0.9, 0.8, 0.7, 0.6, 0.5], ssm_in_multiplier=1.2, ssm_out_multiplier=0.8),
    "bamba": transformers.BambaConfig(**COMMON, **MAMBA2, attn_layer_indices=[0]),
    "mamba2": transformers.Mamba2Config(**RECURRENT, state_size=12, num_heads=8, head_dim=8, n_groups=1, chunk_size=8),
    "falcon-mamba": transformers.FalconMambaConfig(**RECURRENT, state_size=12, time_step_rank=6),
    "jamba": transformers.JambaConfig(
        **COMMON, num_experts=4, num_experts_per_tok=2, expert_layer_period=2, expert_layer_offset=1, attn_layer_period=2,
        attn_layer_offset=0, mamba_d_state=12, mamba_d_conv=4, mamba_expand=2, mamba_dt_rank=6, use_mamba_kernels=False),
    "qwen3-next": transformers.Qwen3NextConfig(
        **COMMON, head_dim=16, linear_key_head_dim=8, linear_value_head_dim=12, linear_num_key_heads=2, linear_num_value_heads=4,
        layer_types=["full_attention", "linear_attention"], moe_intermediate_size=24, shared_expert_intermediate_size=40, num_experts=4,
        num_experts_per_tok=2),
}
MODELS |= {
    # Sequences of the test are longer than the original context.
    "phi3-long": transformers.Phi3Config(
        **COMMON, pad_token_id=None, original_max_position_embeddings=16, rope_scaling=dict(
            type="longrope", short_factor=[1.0, 1.1, 1.5, 2.0], long_factor=[1.0, 2.0, 5.5, 9.0])),
    "olmo": transformers.OlmoConfig(**LAYER_NORMS, num_key_value_heads=2, clip_qkv=0.8),
    "nemotron": transformers.NemotronConfig(**LAYER_NORMS, num_key_value_heads=2, norm_eps=1e-5),
    "arcee": transformers.ArceeConfig(**COMMON, head_dim=12),
    "mpt": transformers.MptConfig(
        vocab_size=96, d_model=32, n_layers=2, n_heads=4, expansion_ratio=4, max_seq_len=128,
        attn_config=transformers.models.mpt.configuration_mpt.MptAttentionConfig(clip_qkv=0.8)),
    # The class is not part of transformers; Granite's computes the same.
    "minicpm": transformers.GraniteConfig(
        **COMMON, embedding_multiplier=6.0, attention_multiplier=8**-0.5, residual_multiplier=1.4 / 2**0.5, logits_scaling=4.0),
}
TEMPERATURE = dict(beta=0.25, length=16)
MINISTRAL_YARN = dict(
    rope_type="yarn", factor=4.0, beta_fast=32.0, beta_slow=1.0, original_max_position_embeddings=TEMPERATURE["length"], mscale=1.0,
    mscale_all_dim=1.0)
MODELS |= {
    # Ministral 3 is Mistral with a factor of queries by position.
    "ministral3": transformers.MistralConfig(**COMMON, head_dim=16, sliding_window=None, rope_scaling=MINISTRAL_YARN),
    "ministral": transformers.MinistralConfig(
        **COMMON, head_dim=16, sliding_window=7, layer_types=["sliding_attention", "full_attention"]),
    # Every block has its own numbers in the function.
    "apertus": transformers.ApertusConfig(**COMMON, rope_theta=1000.0, rope_scaling=LLAMA3),
    # The class is not part of transformers; DeepSeek's with factors computes the same.
    "minicpm3": transformers.DeepseekV3Config(
        **{**LATENT, "v_head_dim": 8, "first_k_dense_replace": 2}, rope_interleave=False, n_group=1, topk_group=1),
}
MINICPM3 = dict(scale_emb=12, scale_depth=1.4, dim_model_base=256)


def scale(model):
    """MiniCPM's factors in a model of another class."""

    def by(factor):
        return lambda _module, _inputs, output: (output[0] * factor, *output[1:]) if isinstance(output, tuple) else output * factor

    depth = MINICPM3["scale_depth"] / len(model.model.layers)**0.5
    model.model.embed_tokens.register_forward_hook(by(MINICPM3["scale_emb"]))
    model.model.norm.register_forward_hook(by(MINICPM3["dim_model_base"] / model.config.hidden_size))
    for layer in model.model.layers:
        layer.self_attn.register_forward_hook(by(depth))
        layer.mlp.register_forward_hook(by(depth))
    model.config.model_type = "minicpm3"


def with_temperature(rotate):
    """The function that rotates queries and keys, followed by the factor of queries."""

    def function(queries, keys, *arguments, **options):
        queries, keys = rotate(queries, keys, *arguments, **options)
        steps = torch.arange(queries.shape[-2]) // TEMPERATURE["length"]
        return queries * (1 + TEMPERATURE["beta"] * torch.log1p(steps.float()))[:, None], keys

    return function


# What a saved configuration says instead, for classes that are not part of transformers.
OTHER_KEYS = {
    "minicpm": dict(
        architectures=["MiniCPMForCausalLM"], model_type="minicpm", scale_emb=6.0, scale_depth=1.4, dim_model_base=8,
        embedding_multiplier=None, attention_multiplier=None, residual_multiplier=None, logits_scaling=None),
    "mpt": dict(architectures=["MPTForCausalLM"]),
    "minicpm3": dict(
        architectures=["MiniCPM3ForCausalLM"], model_type="minicpm3", **MINICPM3,
        **dict.fromkeys([
            "first_k_dense_replace", "moe_intermediate_size", "n_group", "n_routed_experts", "n_shared_experts", "norm_topk_prob",
            "num_experts_per_tok", "rope_interleave", "routed_scaling_factor", "topk_group", "head_dim", "qk_head_dim"])),
    "ministral3": dict(
        architectures=["Ministral3ForCausalLM"], model_type="ministral3", rope_theta=None, rope_scaling=None,
        rope_parameters={**MINISTRAL_YARN, "rope_theta": 10000.0, "llama_4_scaling_beta": TEMPERATURE["beta"]}),
}
# A group is as good as its best expert.
LATENT_V2 = {**LATENT, "n_shared_experts": 2, "norm_topk_prob": False}
ROUTED = dict(num_experts_per_tok=2, moe_intermediate_size=24)
LLAMA4 = dict(
    **{**FOUR, "intermediate_size": 24}, intermediate_size_mlp=48, head_dim=16, num_local_experts=4, num_experts_per_tok=2)
MODELS |= {
    "deepseek-v2": transformers.DeepseekV2Config(
        **LATENT_V2, n_group=4, topk_group=2, topk_method="group_limited_greedy"),
    "ernie4.5-moe": transformers.Ernie4_5_MoeConfig(
        **COMMON, moe_intermediate_size=24, moe_k=2, moe_num_experts=4, moe_num_shared_experts=2, moe_layer_start_index=1),
    "hunyuan-moe": transformers.HunYuanMoEV1Config(**COMMON, head_dim=12, num_experts=4, moe_topk=2),
    "dots1": transformers.Dots1Config(
        **{**COMMON, "num_key_value_heads": 4}, **ROUTED, head_dim=12, n_routed_experts=4, n_shared_experts=2, first_k_dense_replace=1,
        norm_topk_prob=True, routed_scaling_factor=1.5, sliding_window=None),
    "phi-moe": transformers.PhimoeConfig(
        **COMMON, num_local_experts=4, num_experts_per_tok=2, attention_bias=True, lm_head_bias=True, router_jitter_noise=0.3,
        sliding_window=7, rope_theta=10000.0),
    # No rotary embedding in the last block, experts in every other; the rotary scaling has no range between its two frequencies.
    "llama4": transformers.Llama4TextConfig(
        **LLAMA4, interleave_moe_layer_step=2, rope_scaling={**LLAMA3, "high_freq_factor": 1.0}),
    # Chunks, steps of the temperature and norms that llama.cpp does not know.
    "llama4-chunks": transformers.Llama4TextConfig(
        **LLAMA4, attention_chunk_size=9, floor_scale=5, attn_scale=0.5, use_qk_norm=False, attention_bias=True),
}
NEWER_MODELS = {}
if int(transformers.__version__.split(".")[0]) >= 5:
    PLAIN = dict(rope_parameters=dict(rope_type="default", rope_theta=1000.0))
    WINDOWS = dict(**FOUR, **ROUTED, **PLAIN, num_experts=4, sliding_window=7)
    GEMMA4 = dict(
        **{**FOUR, "tie_word_embeddings": True}, head_dim=12, global_head_dim=16, sliding_window=7, final_logit_softcapping=4.0,
        layer_types=["sliding_attention", "full_attention"] * 2)
    # So many heads that hardly a score is 0: of equal scores, transformers takes any.
    INDEXED = dict(**{**LATENT, "n_routed_experts": 4}, n_shared_experts=1, index_topk=12, index_head_dim=8, index_n_heads=16)
    GEMMA3N = dict(
        **{**FOUR, "tie_word_embeddings": True}, head_dim=12, sliding_window=7, final_logit_softcapping=4.0, laurel_rank=8,
        hidden_size_per_layer_input=12, rope_parameters=dict(
            full_attention=dict(rope_type="default", rope_theta=1000.0), sliding_attention=dict(rope_type="default", rope_theta=100.0)))
    NEWER_MODELS = {
        "minimax-m2": transformers.MiniMaxM2Config(
            **COMMON, head_dim=16, num_local_experts=4, num_experts_per_tok=2,
            rope_parameters=dict(rope_type="default", rope_theta=1000.0, partial_rotary_factor=0.5)),
        "hy-v3": transformers.HYV3Config(
            **COMMON, **ROUTED, **PLAIN, head_dim=12, num_experts=4, num_shared_experts=2, router_scaling_factor=1.5),
        "exaone-moe": transformers.ExaoneMoeConfig(**WINDOWS, num_shared_experts=1),
        "afmoe": transformers.AfmoeConfig(**WINDOWS, head_dim=12, num_shared_experts=1, route_scale=1.5, mup_enabled=True),
        "cohere2-moe": transformers.Cohere2MoeConfig(
            **{**FOUR, "tie_word_embeddings": True, "rms_norm_eps": None, "intermediate_size": 24}, head_dim=12, num_experts=4,
            num_experts_per_tok=2, num_shared_experts=1, sliding_window=7, logit_scale=0.25, first_k_dense_replace=1,
            prefix_dense_intermediate_size=48),
        # Stacked experts, and queries that grow with their position.
        "mistral4": transformers.Mistral4Config(
            **{**LATENT, "n_routed_experts": 4}, n_shared_experts=1, norm_topk_prob=True,
            rope_parameters={**DEEPSEEK_YARN, "rope_type": "yarn", "rope_theta": 10000.0, "llama_4_scaling_beta": 0.3}),
        # A query sees 12 tokens; in the second model, its second block those that the first one chose.
        "deepseek-v32": transformers.DeepseekV32Config(**INDEXED, n_group=2, topk_group=1),
        "glm-dsa": transformers.GlmMoeDsaConfig(**INDEXED, n_group=1, topk_group=1, indexer_types=["full", "shared"]),
        "mimo-v2": transformers.MiMoV2FlashConfig(
            **{**COMMON, "num_hidden_layers": 3}, **ROUTED, head_dim=12, v_head_dim=6, n_routed_experts=4, sliding_window=7,
            layer_types=["full_attention", "sliding_attention", "full_attention"], mlp_layer_types=["dense", "sparse", "sparse"]),
        "kimi-linear": transformers.KimiLinearConfig(
            **{key: value for key, value in {**LATENT, "num_hidden_layers": 3, "q_lora_rank": None}.items() if not key.startswith((
                "first_k", "n_routed", "num_experts_per", "max_pos"))}, model_max_length=128, num_experts_per_token=2, num_experts=4,
            num_shared_experts=1, linear_head_dim=6, linear_num_heads=4, linear_conv_kernel_dim=3, pad_token_id=0,
            layer_types=["linear_attention", "linear_attention", "full_attention"]),
        # A product for each head, and another number of heads in blocks with a window; then a product for each channel.
        "laguna": transformers.LagunaConfig(
            **COMMON, **ROUTED, head_dim=12, num_experts=4, shared_expert_intermediate_size=48, sliding_window=7,
            layer_types=["full_attention", "sliding_attention"], num_attention_heads_per_layer=[2, 6], moe_routed_scaling_factor=1.5),
        "laguna-channels": transformers.LagunaConfig(
            **COMMON, **ROUTED, head_dim=12, num_experts=4, shared_expert_intermediate_size=24, gating="per-element",
            layer_types=["full_attention"] * 2),
        "dbrx": transformers.DbrxConfig(
            d_model=32, n_heads=4, n_layers=2, max_seq_len=128, vocab_size=96, bos_token_id=0, eos_token_id=1,
            # The class reads the base elsewhere, and assumes this one.
            attn_config=dict(kv_n_heads=2, clip_qkv=0.3, rope_theta=10000.0),
            ffn_config=dict(ffn_hidden_size=24, moe_num_experts=4, moe_top_k=2, hidden_size=32)),
        # Branches add to their normalized input, times a factor.
        "minimax-01": transformers.MiniMaxConfig(
            **{**COMMON, "num_hidden_layers": 3, "intermediate_size": 24}, head_dim=12, num_local_experts=4, num_experts_per_tok=2, block_size=8,
            layer_types=["linear_attention", "linear_attention", "full_attention"], full_attn_alpha_factor=1.5,
            linear_attn_alpha_factor=1.25, mlp_beta_factor=0.75, rope_parameters=dict(rope_type="default", rope_theta=1000.0)),
        # Feed-forward networks of two sizes, silent gates in three of four blocks, keys that blocks share, and a smaller table for blocks.
        "gemma3n": transformers.Gemma3nTextConfig(
            **{**GEMMA3N, "intermediate_size": [48, 40, 48, 40]}, layer_types=["sliding_attention", "full_attention"] * 2,
            num_kv_shared_layers=2, vocab_size_per_layer_input=80, activation_sparsity_pattern=[0.9, 0.7, 0.0, 0.4]),
        # What no published model has: another active hidden state, which is not scaled.
        "gemma3n-lanes": transformers.Gemma3nTextConfig(
            **{**GEMMA3N, "num_hidden_layers": 2}, layer_types=["sliding_attention", "full_attention"], num_kv_shared_layers=0,
            vocab_size_per_layer_input=96, altup_num_inputs=3, altup_active_idx=1, altup_correct_scale=False),
        # The last two blocks have no keys and values of their own; every block has an embedding of the token.
        "gemma4": transformers.Gemma4TextConfig(
            **GEMMA4, num_kv_shared_layers=2, use_double_wide_mlp=True, hidden_size_per_layer_input=12, vocab_size_per_layer_input=96),
        # Keys are values in blocks that attend to everything; experts beside a feed-forward network.
        "gemma4-moe": transformers.Gemma4TextConfig(
            **{**GEMMA4, "num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"]}, num_global_key_value_heads=1,
            attention_k_eq_v=True, hidden_size_per_layer_input=0, enable_moe_block=True, num_experts=4, top_k_experts=2,
            moe_intermediate_size=24),
        "jais2": transformers.Jais2Config(
            **{key: value for key, value in COMMON.items() if key != "rms_norm_eps"}, head_dim=8,
            rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
        # Two bases, and blocks with a window.
        "mellum": transformers.MellumConfig(
            **COMMON, head_dim=8, **MOE, sliding_window=7, layer_types=["sliding_attention", "full_attention"], rope_parameters=dict(
                full_attention=dict(rope_type="default", rope_theta=20000.0),
                sliding_attention=dict(rope_type="default", rope_theta=10000.0))),
        "qwen3-vl-moe": transformers.Qwen3VLMoeConfig(
            text_config=dict(
                **COMMON, head_dim=8, **MOE, rope_parameters=dict(
                    rope_type="default", rope_theta=10000.0, mrope_section=[2, 1, 1], mrope_interleaved=True)),
            vision_config=dict(
                depth=1, hidden_size=16, intermediate_size=16, num_heads=2, out_hidden_size=32, num_position_embeddings=4, patch_size=4,
                deepstack_visual_indexes=[0])),
    }
    MODELS |= NEWER_MODELS
LLAMA_SITES = {
    "attention.input": "self_attn.q_proj", "attention.output": "self_attn.o_proj", "feed-forward.input": "mlp.gate_proj",
    "feed-forward.output": "mlp.down_proj"}
EXPERTS = 4
EXPERT_SITES = {
    f"feed-forward.{site}.{e}": f"block_sparse_moe.experts.{e}.{module}"
    for e in range(EXPERTS) for site, module in (("input", "w1"), ("output", "w2"))}
QWEN_MOE_SITES = {
    "attention.input": "self_attn.q_proj", "attention.output": "self_attn.o_proj", "feed-forward.input": "mlp.gate",
    **{f"feed-forward.{site}.{e}": f"mlp.experts.{e}.{module}"
       for e in range(EXPERTS) for site, module in (("input", "gate_proj"), ("output", "down_proj"))}}
LATENT_SITES = {
    "attention.input": "self_attn.kv_a_proj_with_mqa", "attention.query-latent": "self_attn.q_b_proj", "attention.latent": "self_attn.kv_b_proj",
    "attention.output": "self_attn.o_proj", "feed-forward.input": "mlp.shared_experts.up_proj",
    "feed-forward.output.shared": "mlp.shared_experts.down_proj",
    **{f"feed-forward.{site}.{e}": f"mlp.experts.{e}.{module}"
       for e in range(8) for site, module in (("input", "gate_proj"), ("output", "down_proj"))}}
MIXER_SITES = {"mixer.input": "mamba.in_proj", "mixer.output": "mamba.out_proj"}
UNGATED_SITES = {**LLAMA_SITES, "feed-forward.input": "mlp.up_proj"}
ROUTED_SITES = {
    "attention.input": "self_attn.q_proj", "attention.output": "self_attn.o_proj", "feed-forward.input": "mlp.shared_experts.up_proj",
    "feed-forward.output.shared": "mlp.shared_experts.down_proj"}
DEEPSEEK_EXPERTS = {key: value for key, value in QWEN_MOE_SITES.items() if key[-1].isdigit()}
FUSED_GATE_SITES = {**LLAMA_SITES, "feed-forward.input": "mlp.gate_up_proj"}
# For each kind of model: where its blocks are, and the modules whose inputs are the sites.
SITES = {
    "mixtral": ("model.layers.1.", {
        "attention.input": "self_attn.q_proj", "attention.output": "self_attn.o_proj", "feed-forward.input": "block_sparse_moe.gate",
        **EXPERT_SITES}),
    "qwen2_moe": ("model.layers.1.", {**QWEN_MOE_SITES, "feed-forward.output.shared": "mlp.shared_expert.down_proj"}),
    "qwen3_moe": ("model.layers.1.", QWEN_MOE_SITES),
    "olmoe": ("model.layers.1.", QWEN_MOE_SITES),
    "glm4_moe": ("model.layers.1.", {**QWEN_MOE_SITES, "feed-forward.output.shared": "mlp.shared_experts.down_proj"}),
    "granitemoeshared": ("model.layers.1.", {
        "attention.input": "self_attn.q_proj", "attention.output": "self_attn.o_proj", "feed-forward.input": "block_sparse_moe.router.layer",
        "feed-forward.output.shared": "shared_mlp.output_linear"}),
    "lfm2": ("model.layers.1.", {
        "convolution.input": "conv.in_proj", "convolution.output": "conv.out_proj", "feed-forward.input": "feed_forward.w1",
        "feed-forward.output": "feed_forward.w2"}),
    "granitemoehybrid": ("model.layers.1.", {
        **MIXER_SITES, "feed-forward.input": "block_sparse_moe.router.layer", "feed-forward.output.shared": "shared_mlp.output_linear"}),
    "falcon_h1": ("model.layers.1.", {
        **MIXER_SITES, "attention.input": "self_attn.q_proj", "attention.output": "self_attn.o_proj",
        "feed-forward.input": "feed_forward.up_proj", "feed-forward.output": "feed_forward.down_proj"}),
    "bamba": ("model.layers.1.", {
        **MIXER_SITES, "feed-forward.input": "feed_forward.up_proj", "feed-forward.output": "feed_forward.down_proj"}),
    "mamba2": ("backbone.layers.1.", {"mixer.input": "mixer.in_proj", "mixer.output": "mixer.out_proj"}),
    "falcon_mamba": ("backbone.layers.1.", {
        "mixer.input": "mixer.in_proj", "mixer.convolved": "mixer.x_proj", "mixer.step": "mixer.dt_proj", "mixer.output": "mixer.out_proj"}),
    "jamba": ("model.layers.1.", {
        **MIXER_SITES, "mixer.convolved": "mamba.x_proj", "mixer.step": "mamba.dt_proj", "feed-forward.input": "feed_forward.router",
        **{f"feed-forward.{site}.{e}": f"feed_forward.experts.{e}.{module}"
           for e in range(EXPERTS) for site, module in (("input", "gate_proj"), ("output", "down_proj"))}}),
    "qwen3_next": ("model.layers.1.", {
        "mixer.input": "linear_attn.in_proj_qkvz", "mixer.output": "linear_attn.out_proj", "feed-forward.input": "mlp.gate",
        "feed-forward.output.shared": "mlp.shared_expert.down_proj",
        **{f"feed-forward.{site}.{e}": f"mlp.experts.{e}.{module}"
           for e in range(EXPERTS) for site, module in (("input", "gate_proj"), ("output", "down_proj"))}}),
    "deepseek_v3": ("model.layers.1.", LATENT_SITES),
    "deepseek_v2": ("model.layers.1.", LATENT_SITES),
    "mistral4": ("model.layers.1.", {key: value for key, value in LATENT_SITES.items() if not key[-1].isdigit()}),
    **{kind: ("model.layers.1.", {key: value for key, value in LATENT_SITES.items() if not key[-1].isdigit()})
       for kind in ("deepseek_v32", "glm_moe_dsa")},
    "mimo_v2_flash": ("model.layers.1.", {
        "attention.input": "self_attn.q_proj", "attention.output": "self_attn.o_proj", "feed-forward.input": "mlp.gate"}),
    "kimi_linear": ("model.layers.1.", {
        "mixer.input": "self_attn.q_proj", "mixer.gate-latent": "self_attn.g_b_proj",
        "mixer.decay-latent": "self_attn.forget_gate.f_b_proj", "mixer.output": "self_attn.o_proj",
        "feed-forward.input": "mlp.shared_experts.up_proj", "feed-forward.output.shared": "mlp.shared_experts.down_proj"}),
    "minimax": ("model.layers.1.", {
        "mixer.input": "self_attn.qkv_proj", "mixer.output": "self_attn.out_proj", "feed-forward.input": "mlp.gate"}),
    "dbrx": ("transformer.blocks.1.", {
        "attention.input": "norm_attn_norm.attn.Wqkv", "attention.output": "norm_attn_norm.attn.out_proj",
        "feed-forward.input": "ffn.router.layer"}),
    "ernie4_5_moe": ("model.layers.1.", {**ROUTED_SITES, **DEEPSEEK_EXPERTS}),
    "dots1": ("model.layers.1.", {**ROUTED_SITES, **DEEPSEEK_EXPERTS}),
    "hunyuan_v1_moe": ("model.layers.1.", {
        **ROUTED_SITES, **DEEPSEEK_EXPERTS, "feed-forward.input": "mlp.shared_mlp.up_proj",
        "feed-forward.output.shared": "mlp.shared_mlp.down_proj"}),
    "phimoe": ("model.layers.1.", {
        "attention.input": "self_attn.q_proj", "attention.output": "self_attn.o_proj", "feed-forward.input": "block_sparse_moe.gate",
        **EXPERT_SITES}),
    "llama4_text": ("model.layers.1.", {
        "attention.input": "self_attn.q_proj", "attention.output": "self_attn.o_proj",
        "feed-forward.input": "feed_forward.shared_expert.up_proj",
        "feed-forward.output.shared": "feed_forward.shared_expert.down_proj"}),
    "minimax_m2": ("model.layers.1.", {
        "attention.input": "self_attn.q_proj", "attention.output": "self_attn.o_proj", "feed-forward.input": "mlp.gate"}),
    "jais2": ("model.layers.1.", UNGATED_SITES),
    "mellum": ("model.layers.1.", {
        "attention.input": "self_attn.q_proj", "attention.output": "self_attn.o_proj", "feed-forward.input": "mlp.gate"}),
    "qwen3_vl_moe": ("model.language_model.layers.1.", {
        "attention.input": "self_attn.q_proj", "attention.output": "self_attn.o_proj", "feed-forward.input": "mlp.gate"}),
    "gemma3n_text": ("model.layers.1.", {
        **LLAMA_SITES, "embedding-gate.input": "per_layer_input_gate", "embedding-gate.output": "per_layer_projection",
        "residual.input": "laurel.linear_left", "residual.output": "laurel.linear_right"}),
    "gemma4_text": ("model.layers.1.", {
        **LLAMA_SITES, "embedding-gate.input": "per_layer_input_gate", "embedding-gate.output": "per_layer_projection",
        "feed-forward.router": "router.proj"}),
    **{kind: ("model.layers.1.", ROUTED_SITES) for kind in ("hy_v3", "exaone_moe", "afmoe", "cohere2_moe", "laguna")},
    "opt": ("model.decoder.layers.1.", {
        "attention.input": "self_attn.q_proj", "attention.output": "self_attn.out_proj", "feed-forward.input": "fc1",
        "feed-forward.output": "fc2"}),
    "gpt2": ("transformer.h.1.", {
        "attention.input": "attn.c_attn", "attention.output": "attn.c_proj", "feed-forward.input": "mlp.c_fc",
        "feed-forward.output": "mlp.c_proj"}),
    "gpt_bigcode": ("transformer.h.1.", {
        "attention.input": "attn.c_attn", "attention.output": "attn.c_proj", "feed-forward.input": "mlp.c_fc",
        "feed-forward.output": "mlp.c_proj"}),
    "bloom": ("transformer.h.1.", {
        "attention.input": "self_attention.query_key_value", "attention.output": "self_attention.dense",
        "feed-forward.input": "mlp.dense_h_to_4h", "feed-forward.output": "mlp.dense_4h_to_h"}),
    "phi3": ("model.layers.1.", FUSED_GATE_SITES | {"attention.input": "self_attn.qkv_proj"}),
    "glm4": ("model.layers.1.", FUSED_GATE_SITES),
    "glm": ("model.layers.1.", FUSED_GATE_SITES),
    "phi": ("model.layers.1.", {
        "attention.input": "self_attn.q_proj", "attention.output": "self_attn.dense", "feed-forward.input": "mlp.fc1",
        "feed-forward.output": "mlp.fc2"}),
    "gpt_neox": ("gpt_neox.layers.1.", {
        "attention.input": "attention.query_key_value", "attention.output": "attention.dense",
        "feed-forward.input": "mlp.dense_h_to_4h", "feed-forward.output": "mlp.dense_4h_to_h"}),
    "apertus": ("model.layers.1.", UNGATED_SITES),
    "minicpm3": ("model.layers.1.", {
        "attention.input": "self_attn.kv_a_proj_with_mqa", "attention.query-latent": "self_attn.q_b_proj",
        "attention.latent": "self_attn.kv_b_proj", "attention.output": "self_attn.o_proj", "feed-forward.input": "mlp.up_proj",
        "feed-forward.output": "mlp.down_proj"}),
    "mpt": ("transformer.blocks.1.", {
        "attention.input": "attn.Wqkv", "attention.output": "attn.out_proj", "feed-forward.input": "ffn.up_proj",
        "feed-forward.output": "ffn.down_proj"}),
    "nemotron": ("model.layers.1.", UNGATED_SITES),
    "arcee": ("model.layers.1.", UNGATED_SITES),
    "starcoder2": ("model.layers.1.", {
        "attention.input": "self_attn.q_proj", "attention.output": "self_attn.o_proj", "feed-forward.input": "mlp.c_fc",
        "feed-forward.output": "mlp.c_proj"}),
    "falcon": ("transformer.h.1.", {
        "attention.input": "self_attention.query_key_value", "attention.output": "self_attention.dense",
        "feed-forward.input": "mlp.dense_h_to_4h", "feed-forward.output": "mlp.dense_4h_to_h"}),
    "gpt_oss": ("model.layers.1.", {
        "attention.input": "self_attn.q_proj", "attention.output": "self_attn.o_proj", "feed-forward.input": "mlp.router"}),
}

BERT = dict(
    vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64,
    pad_token_id=0)
# Models without logits: the expectation is the last hidden state.
ENCODERS = {
    "bert": transformers.BertConfig(**BERT),
    "roberta": transformers.RobertaConfig(**{**BERT, "pad_token_id": 1}, type_vocab_size=1),
    "distilbert": transformers.DistilBertConfig(
        vocab_size=96, dim=32, hidden_dim=48, n_layers=2, n_heads=4, max_position_embeddings=64, pad_token_id=0),
    "modernbert": transformers.ModernBertConfig(
        **{**BERT, "num_hidden_layers": 4}, local_attention=6, global_rope_theta=1000.0, local_rope_theta=100.0, bos_token_id=0,
        eos_token_id=1, cls_token_id=0, sep_token_id=1, reference_compile=False),
    "embedding-gemma": transformers.Gemma3TextConfig(
        **{**COMMON, "num_hidden_layers": 3}, head_dim=16, query_pre_attn_scalar=16, sliding_window=12, use_bidirectional_attention=True,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"], rope_theta=1000.0, rope_local_base_freq=100.0),
}


def randomise(model):
    """Norm gains around one, biases and weights large enough that attention is far from uniform."""
    generator = torch.Generator().manual_seed(7)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if model.config.model_type in ("gemma", "gemma2", "gemma3_text", "nemotron", "qwen3_next") and name.endswith("norm.weight"):
            # The gain is one plus this.
            value = 0.2 * noise
        elif name.lower().endswith("norm.weight") or (".ln_" in name or ".norm_" in name) and name.endswith("weight") or "layernorm.weight" in name or "layernorm_" in name:
            value = 1 + 0.2 * noise
        else:
            value = noise * (0.3 if name.endswith("bias") else 1.5 / math.sqrt(parameter.shape[-1]))
        if name.endswith("experts.gate_up_proj"):
            # Beyond the limits at which gate and up are clamped.
            value *= 4
        parameter.data = value.to(torch.bfloat16).float()
    for name, buffer in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            buffer.copy_(0.2 * torch.rand(buffer.shape, generator=generator).to(torch.bfloat16))
        if name.endswith("layer_scalar"):
            buffer.copy_(1 + 0.2 * torch.rand(buffer.shape, generator=generator).to(torch.bfloat16))


def observe_stack(experts, seen):
    """Records the inputs of the experts of one stack and the values between their matrices."""

    def hook(module, arguments, options):
        hidden = arguments[0].flatten(0, -2)
        for e in range(EXPERTS):
            x = hidden[(options["router_indices"] == e).any(-1)]
            inner = x @ module.gate_up_proj[e] + module.gate_up_proj_bias[e]
            gate, up = inner[:, ::2].clamp(max=module.limit), inner[:, 1::2].clamp(-module.limit, module.limit)
            seen[f"feed-forward.input.{e}"] = x.abs().mean(0)
            seen[f"feed-forward.output.{e}"] = ((up + 1) * gate * torch.sigmoid(gate * module.alpha)).abs().mean(0)

    experts.register_forward_pre_hook(hook, with_kwargs=True)


def stacked_products(module, x, e):
    return (x @ module.gate_up_proj[e].T).chunk(2, -1)


def flat_products(module, x, e):
    return [x @ weight.view(EXPERTS, -1, module.hidden_size)[e].T for weight in (module.mlp.w1, module.mlp.v1)]


def observe_chosen(experts, seen, products=stacked_products, activation=None):
    """The same for stacks of transformers 5, which are not transposed and have no biases."""

    def hook(module, arguments, options):
        hidden, chosen = [*arguments, *options.values()][:2]
        hidden = hidden.flatten(0, -2)
        for e in range(EXPERTS):
            x = hidden[(chosen == e).any(-1)]
            gate, up = products(module, x, e)
            seen[f"feed-forward.input.{e}"] = x.abs().mean(0)
            seen[f"feed-forward.output.{e}"] = (up * (activation or module.act_fn)(gate)).abs().mean(0)

    experts.register_forward_pre_hook(hook, with_kwargs=True)


def observe_weighed(experts, seen):
    """The same for Llama 4, whose experts get all tokens, times 0 if they were not chosen."""

    def hook(module, arguments):
        for e, hidden in enumerate(arguments[0].view(EXPERTS, -1, module.hidden_size)):
            x = hidden[hidden.abs().sum(-1) > 0]
            gate, up = (x @ module.gate_up_proj[e]).chunk(2, -1)
            seen[f"feed-forward.input.{e}"] = x.abs().mean(0)
            seen[f"feed-forward.output.{e}"] = (up * torch.nn.functional.silu(gate)).abs().mean(0)

    experts.register_forward_pre_hook(hook)


def observe_parts(layer, site, seen):
    """Records the inputs of a matrix of all experts, which gets the tokens of one expert after those of another."""

    def hook(_, arguments):
        for e, x in enumerate(arguments[0].split(arguments[1])):
            seen[f"{site}.{e}"] = x.abs().mean(0)

    layer.register_forward_pre_hook(hook)


def observe(model, tokens):
    """Logits, and mean |x| of the inputs of the second block's linear layers."""
    seen = {}
    blocks, sites = SITES.get(model.config.model_type, ("model.layers.1.", LLAMA_SITES))
    for site, module in sites.items():
        if module == "self_attn.q_b_proj" and model.config.q_lora_rank is None:
            continue
        if module not in dict(model.get_submodule(blocks[:-1]).named_modules()):
            continue
        layer = model.get_submodule(blocks + module)
        layer.register_forward_pre_hook(lambda _, x, site=site: seen.__setitem__(site, x[0].abs().flatten(0, -2).mean(0)))
    if model.config.model_type == "gpt_oss":
        observe_stack(model.get_submodule(blocks + "mlp.experts"), seen)
    if model.config.model_type in (
            "minimax_m2", "hy_v3", "exaone_moe", "afmoe", "cohere2_moe", "mistral4", "mellum", "qwen3_vl_moe",
            "deepseek_v32", "glm_moe_dsa", "mimo_v2_flash", "kimi_linear", "laguna", "minimax"):
        observe_chosen(model.get_submodule(blocks + "mlp.experts"), seen)
    if model.config.model_type == "dbrx":
        observe_chosen(model.get_submodule(blocks + "ffn.experts"), seen, flat_products, torch.nn.functional.silu)
    if getattr(model.config, "enable_moe_block", False):
        observe_chosen(model.get_submodule(blocks + "experts"), seen)
    if model.config.model_type == "llama4_text":
        observe_weighed(model.get_submodule(blocks + "feed_forward.experts"), seen)
    if model.config.model_type in ("granitemoeshared", "granitemoehybrid"):
        observe_parts(model.get_submodule(blocks + "block_sparse_moe.input_linear"), "feed-forward.input", seen)
        observe_parts(model.get_submodule(blocks + "block_sparse_moe.output_linear"), "feed-forward.output", seen)
    with torch.no_grad():
        logits = model(input_ids=tokens).logits.float()
    if model.config.model_type == "falcon_h1":
        # These factors are in the weights.
        seen["attention.input"] /= model.config.attention_in_multiplier
        seen["mixer.input"] /= model.config.ssm_in_multiplier
    return logits, seen


def write_random(name, config):
    config._attn_implementation = "eager"
    # Not registered as language models of their own.
    classes = {"mistral4": "Mistral4ForCausalLM", "qwen3_vl_moe": "Qwen3VLMoeForConditionalGeneration"}
    model = (
        getattr(transformers, classes[config.model_type])(config) if config.model_type in classes
        else transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)).eval()
    randomise(model)
    folder = os.path.join(OUT, name)
    tokens = torch.randint(0, config.get_text_config().vocab_size, (2, 40), generator=torch.Generator().manual_seed(11))
    rotation = transformers.models.mistral.modeling_mistral
    plain = rotation.apply_rotary_pos_emb
    if name == "ministral3":
        rotation.apply_rotary_pos_emb = with_temperature(plain)
    if name == "minicpm3":
        scale(model)
    logits, seen = observe(model, tokens)
    rotation.apply_rotary_pos_emb = plain
    model.to(torch.bfloat16).save_pretrained(folder)
    os.remove(os.path.join(folder, "generation_config.json"))
    if name in OTHER_KEYS:
        path = os.path.join(folder, "config.json")
        with open(path) as file:
            stated = json.load(file) | OTHER_KEYS[name]
        with open(path, "w") as file:
            json.dump({key: value for key, value in stated.items() if value is not None}, file, indent=2)
    expected = {"tokens": tokens.int(), "logits": logits, **{k: v.float().contiguous() for k, v in seen.items()}}
    save_file(expected, os.path.join(folder, "expected.safetensors"))


def write_encoder(name, config):
    config._attn_implementation = "eager"
    model = transformers.AutoModel.from_config(config, dtype=torch.float32).eval()
    randomise(model)
    folder = os.path.join(OUT, name)
    # Without the padding token, which has no position in some models.
    tokens = torch.randint(2, config.vocab_size, (2, 40), generator=torch.Generator().manual_seed(11))
    with torch.no_grad():
        states = model(input_ids=tokens).last_hidden_state.float()
    model.to(torch.bfloat16).save_pretrained(folder)
    path = os.path.join(folder, "config.json")
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        # The class saves half of the window, and halves it again when it reads it.
        file.write(text.replace('"sliding_window": 7', '"sliding_window": 12'))
    save_file({"tokens": tokens.int(), "states": states}, os.path.join(folder, "expected.safetensors"))


def write_trained(name, ids, positions, windows):
    path = os.path.join(SHARED, "models", name)
    model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    stream = torch.tensor(ids[: windows * 512]).view(windows, 512)
    tokens = stream[0, : positions[-1] + 1]
    with torch.no_grad():
        logits = model(input_ids=tokens[None]).logits[0, positions].float()
        losses = []
        for window in stream:
            scores = torch.log_softmax(model(input_ids=window[None]).logits[0, :-1].double(), -1)
            losses.append(-scores.gather(-1, window[1:, None])[:, 0])
    loss = torch.cat(losses)
    error = (loss.var(unbiased=False) / (len(loss) - 1)).sqrt()
    expected = {
        "tokens": tokens.int(), "positions": torch.tensor(positions).int(), "logits": logits,
        "perplexity": loss.mean().exp().float().reshape(1), "standard_error": (loss.mean().exp() * error).float().reshape(1)}
    save_file(expected, os.path.join(OUT, name + ".safetensors"))


def main():
    os.makedirs(OUT, exist_ok=True)
    only = sys.argv[3:]
    for name, config in MODELS.items():
        if not only or name in only:
            write_random(name, config)
    for name, config in ENCODERS.items():
        if not only or name in only:
            write_encoder(name, config)
    if only:
        return
    for name in ("tiny-llama", "stories260k", "tiny-opt"):
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=os.path.join(SHARED, "models", name, "tokenizer.json"))
        text = open(os.path.join(SHARED, "text", "wikitext2-valid.txt"), encoding="utf-8", newline="").read()[:200000]
        ids = tokenizer.encode(text)
        save_file(
            {"tokens": torch.tensor(ids[: 20 * 512]).to(torch.int16)}, os.path.join(OUT, name + "-text.safetensors"))
        write_trained(name, ids, [0, 17, 63], 20)


main()
