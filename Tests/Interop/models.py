"""Models to test with: tiny ones with random weights of every supported family, and the trained ones."""
import functools
import json
import shutil

import torch
import transformers

from clients import FIXTURES, WORK, shared

transformers.logging.set_verbosity_error()
torch.set_grad_enabled(False)

TINY_LLAMA = FIXTURES / "models" / "tiny-llama"
EVALUATION_TEXT = FIXTURES / "text" / "evaluation.txt"


LLAMA3_ROPE = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}

MOE = dict(num_experts=8, num_experts_per_tok=2, moe_intermediate_size=96)
LATENT = dict(
    num_key_value_heads=4, q_lora_rank=48, kv_lora_rank=32, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=64, head_dim=16,
    rms_norm_eps=1e-6, n_routed_experts=8, num_experts_per_tok=2, moe_intermediate_size=96, n_shared_experts=1,
    first_k_dense_replace=1)
# Keys that published configurations state and transformers does not save.
SIGMOID = dict(scoring_func="sigmoid", topk_method="noaux_tc")
DEEPSEEK_YARN = {
    "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0,
    "mscale_all_dim": 1.0,
}
# YaRN whose ramp ends, with a small base, at the first and last dimension: then it does not matter whether its borders are rounded,
# as llama.cpp does and gpt-oss does not.
WHOLE_YARN = {
    "rope_type": "yarn", "factor": 4.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False, "original_max_position_embeddings": 64,
}

GRANITE = dict(embedding_multiplier=6.0, attention_multiplier=0.02, residual_multiplier=0.3, logits_scaling=4.0)
MAMBA2 = dict(
    mamba_n_heads=4, mamba_d_head=32, mamba_n_groups=1, mamba_d_state=32, mamba_d_conv=4, mamba_expand=2, mamba_chunk_size=8)

SHAPE = dict(
    hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
    max_position_embeddings=256, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, rms_norm_eps=1e-5)
# The rotary embedding of Ministral 3, whose class is not part of transformers.
MINISTRAL_YARN = dict(
    rope_type="yarn", factor=4.0, beta_fast=32.0, beta_slow=1.0, original_max_position_embeddings=16, mscale=1.0, mscale_all_dim=1.0)
# Each row is one way in which models of a family differ. Vocabulary sizes are those of the tokenizers, except if a
# model pads its embedding.
RANDOM_MODELS = {
    "llama-mha": ("Llama", "gpt2", dict(vocab_size=50257, num_key_value_heads=4)),
    "llama-gqa-tied": ("Llama", "mistral-7b", dict(vocab_size=32000, tie_word_embeddings=True)),
    "llama-bias": ("Llama", "gpt2", dict(vocab_size=50257, attention_bias=True)),
    "llama3-rope": ("Llama", "cl100k", dict(vocab_size=100277, rope_scaling=LLAMA3_ROPE, rope_theta=500000.0)),
    "llama-linear-rope": ("Llama", "mistral-7b", dict(vocab_size=32000, rope_scaling={"rope_type": "linear", "factor": 2.0})),
    "llama-yarn": ("Llama", "gpt2", dict(vocab_size=50257, rope_scaling=dict(
        rope_type="yarn", factor=4.0, beta_fast=32.0, beta_slow=1.0, original_max_position_embeddings=16))),
    "qwen3-yarn": ("Qwen3", "gpt2", dict(vocab_size=50257, head_dim=32, rope_scaling=dict(
        rope_type="yarn", factor=4.0, original_max_position_embeddings=16))),
    "llama-odd-shape": ("Llama", "mistral-7b", dict(
        vocab_size=32000, hidden_size=80, intermediate_size=176, head_dim=24, num_hidden_layers=3, num_key_value_heads=1)),
    "mistral": ("Mistral", "mistral-7b", dict(vocab_size=32000, head_dim=32, sliding_window=None)),
    "mistral-model-only": ("Mistral", "mistral-v3-model-only", dict(vocab_size=32768, head_dim=32, sliding_window=None)),
    "qwen2-tied": ("Qwen2", "qwen2", dict(vocab_size=151646, tie_word_embeddings=True)),
    "qwen2-padded": ("Qwen2", "qwen2", dict(vocab_size=151680, num_key_value_heads=4)),
    "phi-3-tokenizer": ("Llama", "phi-3", dict(vocab_size=32011)),
    "qwen3": ("Qwen3", "qwen2", dict(vocab_size=151646, head_dim=32)),
    "mixtral": ("Mixtral", "mistral-7b", dict(vocab_size=32000, num_local_experts=4, num_experts_per_tok=2)),
    "qwen2-moe": ("Qwen2Moe", "qwen2", dict(
        vocab_size=151646, **MOE, shared_expert_intermediate_size=128, norm_topk_prob=False)),
    "qwen2-moe-dense": ("Qwen2Moe", "gpt2", dict(
        vocab_size=50257, **MOE, shared_expert_intermediate_size=64, norm_topk_prob=True, mlp_only_layers=[0], qkv_bias=False,
        tie_word_embeddings=True)),
    "qwen3-moe": ("Qwen3Moe", "qwen2", dict(vocab_size=151646, **MOE, head_dim=32, norm_topk_prob=True)),
    "qwen3-moe-tied": ("Qwen3Moe", "gpt2", dict(
        vocab_size=50257, **MOE, norm_topk_prob=True, tie_word_embeddings=True, rope_scaling={"rope_type": "linear", "factor": 2.0})),
    "qwen3-moe-dense": ("Qwen3Moe", "gpt2", dict(
        vocab_size=50257, **MOE, norm_topk_prob=False, decoder_sparse_step=2, attention_bias=True, use_sliding_window=True,
        sliding_window=8)),
    "deepseek-v3": ("DeepseekV3", "deepseek", dict(
        vocab_size=129280, **LATENT, **SIGMOID, n_group=4, topk_group=2, num_hidden_layers=3, rope_scaling=DEEPSEEK_YARN)),
    "deepseek-v3-saved": ("DeepseekV3", "gpt2", dict(vocab_size=50257, **LATENT, n_group=1, topk_group=1, norm_topk_prob=False)),
    # llama.cpp recognises models whose queries have no latent by their number of blocks.
    "deepseek-v3-lite": ("DeepseekV3", "gpt2", dict(
        vocab_size=50257, **{**LATENT, **SIGMOID, "q_lora_rank": None, "n_shared_experts": 2, "n_routed_experts": 4}, n_group=2,
        topk_group=1, num_hidden_layers=26, tie_word_embeddings=True)),
    "deepseek-v3-halves": ("DeepseekV3", "gpt2", dict(
        vocab_size=50257, **LATENT, **SIGMOID, n_group=2, topk_group=1, rope_interleave=False, attention_bias=True)),
    # Groups are scored otherwise in llama.cpp, which does not matter if all groups are chosen.
    "deepseek-v2": ("DeepseekV2", "gpt2", dict(
        vocab_size=50257, **{**LATENT, "n_shared_experts": 2}, n_group=1, topk_group=1, topk_method="greedy", scoring_func="softmax",
        norm_topk_prob=False, routed_scaling_factor=2.0)),
    "deepseek-v2-groups": ("DeepseekV2", "gpt2", dict(
        vocab_size=50257, **LATENT, n_group=4, topk_group=2, topk_method="group_limited_greedy", scoring_func="softmax",
        norm_topk_prob=False)),
    "gpt-oss": ("GptOss", "gpt2", dict(
        vocab_size=50257, intermediate_size=96, head_dim=32, num_local_experts=4, num_experts_per_tok=2, sliding_window=8,
        rope_theta=3.0, rope_scaling=WHOLE_YARN)),
    # Five blocks with a window before one without; llama.cpp assumes that scores are divided by the root of the head size.
    "gemma3": ("Gemma3", "gpt2", dict(
        vocab_size=50257, num_hidden_layers=6, head_dim=32, query_pre_attn_scalar=32, sliding_window=8, tie_word_embeddings=True,
        rope_theta=10000.0, rope_local_base_freq=100.0)),
    # llama.cpp needs tokens of Phi-3 if a name contains that.
    "phi-4": ("Phi3", "gpt2", dict(vocab_size=50257, partial_rotary_factor=0.75, sliding_window=100, pad_token_id=2)),
    # Texts longer than the original context.
    "phi-4-long": ("Phi3", "gpt2", dict(
        vocab_size=50257, partial_rotary_factor=0.75, pad_token_id=2, original_max_position_embeddings=32, rope_scaling=dict(
            type="longrope", short_factor=[1.0, 1.1, 1.5, 2.0, 2.5, 2.75], long_factor=[1.0, 2.0, 5.5, 9.0, 17.0, 30.0]))),
    "olmo": ("Olmo", "gpt2", dict(vocab_size=50257, clip_qkv=0.5)),
    "nemotron": ("Nemotron", "mistral-7b", dict(vocab_size=32000)),
    "arcee": ("Arcee", "gpt2", dict(vocab_size=50257)),
    "mpt": ("Mpt", "gpt2", dict(vocab_size=50257)),
    # A folder made from its GGUF would lack the numbers of the activation.
    "apertus": ("Apertus", "gpt2", dict(vocab_size=50257, rope_scaling=LLAMA3_ROPE)),
    # Mistral with a factor of queries by position.
    "ministral3": ("Mistral", "gpt2", dict(vocab_size=50257, sliding_window=None, rope_scaling=MINISTRAL_YARN)),
    # Language models inside of classes for images.
    "llava": ("Llava", "mistral-7b", dict(
        text_config=dict(model_type="llama", vocab_size=32000, **SHAPE), vision_config=dict(
            model_type="clip_vision_model", hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=28,
            patch_size=14, projection_dim=16))),
    "mistral3": ("Mistral3", "gpt2", dict(
        text_config=dict(model_type="mistral", vocab_size=50257, sliding_window=None, **SHAPE), vision_config=dict(
            model_type="pixtral", hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=28,
            patch_size=14))),
    "qwen2.5-vl": ("Qwen2_5_VL", "gpt2", dict(
        text_config=dict(
            vocab_size=50257, rope_scaling=dict(type="mrope", mrope_section=[4, 2, 2]), **SHAPE), vision_config=dict(
                depth=1, hidden_size=32, intermediate_size=64, num_heads=2, out_hidden_size=64, fullatt_block_indexes=[0]))),
    "qwen3-vl": ("Qwen3VL", "gpt2", dict(
        text_config=dict(
            vocab_size=50257, rope_scaling=dict(rope_type="default", mrope_section=[4, 2, 2], mrope_interleaved=True), **SHAPE),
        vision_config=dict(
            depth=1, hidden_size=32, intermediate_size=64, num_heads=2, out_hidden_size=64, num_position_embeddings=16,
            deepstack_visual_indexes=[0]))),
    # Without an output matrix.
    "llama-model": ("Llama", "gpt2", dict(vocab_size=50257, tie_word_embeddings=True)),
    # The class is not part of transformers; Granite's computes the same.
    "minicpm": ("Granite", "mistral-7b", dict(
        vocab_size=32000, embedding_multiplier=12.0, attention_multiplier=0.25, residual_multiplier=1.4 / 2**0.5, logits_scaling=4.0)),
    "glm4": ("Glm4", "gpt2", dict(vocab_size=50258, head_dim=32, pad_token_id=2)),
    # Of the two keys for the length of texts, the converter reads the older.
    "glm": ("Glm", "gpt2", dict(vocab_size=50258, pad_token_id=2, attention_bias=False, seq_length=256)),
    "phi2": ("Phi", "gpt2", dict(vocab_size=50257, intermediate_size=256, num_key_value_heads=4)),
    "gpt-neox": ("GPTNeoX", "gpt2", dict(vocab_size=50257, rotary_pct=0.5)),
    "starcoder2": ("Starcoder2", "gpt2", dict(vocab_size=50257, tie_word_embeddings=True, sliding_window=100)),
    "stablelm": ("StableLm", "gpt2", dict(vocab_size=50257, use_qkv_bias=True)),
    "falcon": ("Falcon", "gpt2", dict(vocab_size=50257, num_kv_heads=1)),
    "falcon-new": ("Falcon", "gpt2", dict(vocab_size=50257, num_kv_heads=2, new_decoder_architecture=True)),
    "gpt-bigcode": ("GPTBigCode", "gpt2", dict(vocab_size=50257)),
    "granite": ("Granite", "gpt2", dict(vocab_size=50257, **GRANITE, attention_bias=True, mlp_bias=True)),
    "granite-moe": ("GraniteMoeShared", "gpt2", dict(
        vocab_size=50257, **GRANITE, num_local_experts=4, num_experts_per_tok=2, shared_intermediate_size=96)),
    "olmo2": ("Olmo2", "gpt2", dict(vocab_size=50257)),
    # Three blocks with a window before one without, and only there YaRN.
    "olmo3": ("Olmo3", "gpt2", dict(
        vocab_size=50257, num_hidden_layers=4, sliding_window=8, rope_scaling=dict(
            rope_type="yarn", factor=4.0, beta_fast=32.0, beta_slow=1.0, original_max_position_embeddings=64,
            attention_factor=1.1386294361119891))),
    # Convolutions, recurrent layers and attention by turns. Vocabularies are padded as the converter pads them.
    "lfm2": ("Lfm2", "gpt2", dict(
        vocab_size=50257, tie_word_embeddings=True, block_auto_adjust_ff_dim=False, layer_types=["conv", "full_attention"])),
    "granite-hybrid": ("GraniteMoeHybrid", "gpt2", dict(
        vocab_size=50264, **GRANITE, **MAMBA2, num_local_experts=4, num_experts_per_tok=2, shared_intermediate_size=96,
        layer_types=["mamba", "attention"])),
    "granite-hybrid-dense": ("GraniteMoeHybrid", "gpt2", dict(
        vocab_size=50264, **GRANITE, **MAMBA2, num_local_experts=0, num_experts_per_tok=0, shared_intermediate_size=160,
        layer_types=["mamba", "attention"])),
    # All blocks have an attention, with positions: plain Granite for llama.cpp.
    "granite-hybrid-attention": ("GraniteMoeHybrid", "gpt2", dict(
        vocab_size=50257, **GRANITE, **MAMBA2, num_local_experts=0, num_experts_per_tok=0, shared_intermediate_size=160,
        layer_types=["attention"] * 2, position_embedding_type="rope")),
    "falcon-h1": ("FalconH1", "gpt2", dict(
        vocab_size=50257, head_dim=16, **MAMBA2, mamba_d_ssm=128, mamba_rms_norm=True, mamba_norm_before_gate=False, lm_head_multiplier=0.5,
        embedding_multiplier=3.0, mlp_multipliers=[0.8, 0.6], key_multiplier=0.7, attention_out_multiplier=0.9,
        attention_in_multiplier=1.1, ssm_multipliers=[0.9, 0.8, 0.7, 0.6, 0.5], ssm_in_multiplier=1.2, ssm_out_multiplier=0.8)),
    "qwen3-next": ("Qwen3Next", "gpt2", dict(
        vocab_size=50257, head_dim=32, num_hidden_layers=4, linear_key_head_dim=16, linear_value_head_dim=16, linear_num_key_heads=2,
        linear_num_value_heads=4, moe_intermediate_size=96, shared_expert_intermediate_size=64, num_experts=4, num_experts_per_tok=2)),
    "mamba2": ("Mamba2", "gpt2", dict(
        vocab_size=50272, num_heads=4, head_dim=32, state_size=32, n_groups=1, chunk_size=8)),
    "mamba": ("Mamba", "gpt2", dict(vocab_size=50264, state_size=16, time_step_rank=8)),
    "falcon-mamba": ("FalconMamba", "gpt2", dict(vocab_size=50264, state_size=16, time_step_rank=8, mixer_rms_eps=1e-5)),
    "jamba": ("Jamba", "mistral-7b", dict(
        vocab_size=32000, num_hidden_layers=4, num_experts=4, num_experts_per_tok=2, expert_layer_period=2, expert_layer_offset=1,
        attn_layer_period=4, attn_layer_offset=2, mamba_d_state=16, mamba_d_conv=4, mamba_expand=2, mamba_dt_rank=8,
        use_mamba_kernels=False)),
    "smollm3": ("SmolLM3", "gpt2", dict(vocab_size=50257, num_hidden_layers=4, tie_word_embeddings=True, pad_token_id=1)),
    "seed-oss": ("SeedOss", "gpt2", dict(vocab_size=50257, head_dim=32)),
    # llama.cpp recognises models with windows by their number of blocks.
    "exaone4": ("Exaone4", "gpt2", dict(vocab_size=50257, num_hidden_layers=64, sliding_window=8)),
    "exaone4-full": ("Exaone4", "gpt2", dict(
        vocab_size=50257, sliding_window=None, layer_types=["full_attention"] * 2, rope_scaling=LLAMA3_ROPE)),
    "ernie4.5": ("Ernie4_5", "mistral-7b", dict(vocab_size=32000, tie_word_embeddings=True)),
    # A larger base in other words, which the converter accepts only with published sizes.
    "hunyuan": ("HunYuanDenseV1", "gpt2", dict(
        vocab_size=50257, max_position_embeddings=32768, rope_scaling={"type": "dynamic", "alpha": 1000.0, "factor": 1.0})),
    "gemma": ("Gemma", "mistral-7b", dict(vocab_size=32000, head_dim=32, tie_word_embeddings=True)),
    "gemma2": ("Gemma2", "mistral-7b", dict(
        vocab_size=32000, head_dim=32, query_pre_attn_scalar=32, sliding_window=8, tie_word_embeddings=True)),
    "olmoe": ("Olmoe", "gpt2", dict(vocab_size=50257, num_key_value_heads=4, num_experts=8, num_experts_per_tok=2)),
    "glm4-moe": ("Glm4Moe", "gpt2", dict(
        vocab_size=50260, head_dim=32, attention_bias=True, use_qk_norm=True, moe_intermediate_size=96, n_routed_experts=8,
        num_experts_per_tok=2, n_shared_experts=1, first_k_dense_replace=1, routed_scaling_factor=1.5, partial_rotary_factor=0.5)),
    "ernie4.5-moe": ("Ernie4_5_Moe", "mistral-7b", dict(
        vocab_size=32000, moe_intermediate_size=40, moe_k=2, moe_num_experts=8, moe_num_shared_experts=2, moe_layer_start_index=1,
        moe_layer_end_index=1, tie_word_embeddings=True)),
    # llama.cpp's converter wants a tokenizer in another form.
    "hunyuan-moe": ("HunYuanMoEV1", "gpt2", dict(
        vocab_size=50257, num_experts=8, moe_topk=[2, 2], num_shared_expert=[1, 1], moe_intermediate_size=[160, 160])),
    "dots1": ("Dots1", "gpt2", dict(
        vocab_size=50257, num_key_value_heads=4, moe_intermediate_size=96, n_routed_experts=8, num_experts_per_tok=2, n_shared_experts=2,
        first_k_dense_replace=1, norm_topk_prob=True, routed_scaling_factor=2.0, sliding_window=None, **SIGMOID)),
    "phi-moe": ("Phimoe", "mistral-7b", dict(
        vocab_size=32000, num_local_experts=4, num_experts_per_tok=2, sliding_window=8, attention_bias=True, lm_head_bias=True,
        router_jitter_noise=0.2, pad_token_id=2)),
    # Chunks and steps of the temperature are constants in llama.cpp, too long for a text of a few tokens.
    "llama4": ("Llama4", "gpt2", dict(
        vocab_size=50257, num_hidden_layers=4, intermediate_size=96, intermediate_size_mlp=160, num_local_experts=4, num_experts_per_tok=1,
        interleave_moe_layer_step=2, rope_scaling=dict(
            rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=1.0, original_max_position_embeddings=64))),
    "llama4-chunks": ("Llama4", "gpt2", dict(
        vocab_size=50257, num_hidden_layers=4, intermediate_size=96, intermediate_size_mlp=160, num_local_experts=4, num_experts_per_tok=2,
        attention_chunk_size=16, floor_scale=5, attn_scale=0.3, use_qk_norm=False, attention_bias=True)),
    "cohere": ("Cohere", "gpt2", dict(vocab_size=50257, logit_scale=0.25)),
    "cohere2": ("Cohere2", "gpt2", dict(vocab_size=50257, num_hidden_layers=4, logit_scale=0.25, sliding_window=8, rotary_pct=1.0)),
    "gpt2": ("GPT2", "gpt2", dict(vocab_size=50257, n_ctx=256)),
    # A number of heads that is not a power of two.
    "bloom": ("Bloom", "gpt2", dict(vocab_size=50257, hidden_size=96, n_head=6, seq_length=256)),
    "opt": ("OPT", "opt", dict(vocab_size=50272)),
    "opt-post-norm": ("OPT", "opt", dict(vocab_size=50272, do_layer_norm_before=False, word_embed_proj_dim=32)),
}
# Tokens that a converter looks up by name and the tokenizer does not have.
ADDED_TOKENS = {"glm4-moe": ["[gMASK]", "<|user|>", "<|observation|>"], "glm4": ["<|user|>"], "glm": ["<|user|>"]}
# What llama.cpp's converter must be told: it expects blocks that predict later tokens.
CONVERTER_OPTIONS = {"qwen3-next": ["--no-mtp"]}
# Those for which llama.cpp has no architecture, or which it computes differently.
FOLDERS_ONLY = ["opt", "opt-post-norm", "qwen2-moe-dense", "qwen3-moe-dense", "deepseek-v3-halves", "deepseek-v2-groups",
                "hunyuan-moe", "llama4-chunks", "phi-moe"]
GGUF_MODELS = [name for name in RANDOM_MODELS if name not in FOLDERS_ONLY]
# Variants that only --all checks: a quicker one has the same parts.
SLOW_MODELS = [
    "granite-hybrid-dense", "granite-hybrid-attention", "falcon-mamba", "llama-linear-rope", "llama-yarn",
    "qwen3-yarn", "qwen3-moe-tied", "exaone4-full", "falcon-new",
    "deepseek-v2-groups", "hunyuan-moe", "dots1", "llama4-chunks", "phi-4", "qwen2.5-vl", "llava", "arcee", "minicpm"]


def split(names):
    """The cases of a check, for models with these names."""
    return dict(
        cases=[name for name in names if name not in SLOW_MODELS], slow_cases=[name for name in names if name in SLOW_MODELS])


TOKENS = dict(bos_token_id=1, eos_token_id=2)
LAYER_NORM_SHAPE = {key: value for key, value in SHAPE.items() if key not in ("head_dim", "rms_norm_eps")}
COHERE = dict(
    hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
    **TOKENS)
RECURRENT = dict(hidden_size=64, num_hidden_layers=2, expand=2, conv_kernel=4, **TOKENS)
# Families whose configurations use other keys.
SHAPES = {
    "Phi": LAYER_NORM_SHAPE, "GPTNeoX": LAYER_NORM_SHAPE, "Starcoder2": LAYER_NORM_SHAPE, "StableLm": LAYER_NORM_SHAPE,
    # The converter always states this length and this size.
    "Olmo": LAYER_NORM_SHAPE, "Nemotron": LAYER_NORM_SHAPE | dict(norm_eps=1e-5),
    "Mpt": dict(d_model=64, n_layers=2, n_heads=4, max_seq_len=256, attn_config=dict(clip_qkv=0.5), **TOKENS),
    "Falcon": dict(
        hidden_size=64, ffn_hidden_size=256, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=2048, **TOKENS),
    "GPTBigCode": dict(n_embd=64, n_layer=2, n_head=4, n_positions=256, **TOKENS),
    "GPT2": dict(n_embd=64, n_layer=2, n_head=4, n_positions=256, **TOKENS),
    "Cohere": COHERE,
    "Mamba": RECURRENT, "FalconMamba": RECURRENT, "Mamba2": RECURRENT,
    "Cohere2": COHERE,
    "Bloom": dict(hidden_size=64, n_layer=2, n_head=4, **TOKENS),
    "OPT": dict(
        hidden_size=64, ffn_dim=160, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=256, pad_token_id=1, **TOKENS),
}
# The classes of a model and its configuration, if they are not named after the family.
CLASSES = {"GPT2": "GPT2LMHeadModel"} | {
    name: name + "ForConditionalGeneration" for name in ("Llava", "Mistral3", "Qwen2_5_VL", "Qwen3VL")}
# What a saved configuration says instead, for classes that are not part of transformers.
OTHER_KEYS = {
    "ministral3": dict(
        architectures=["Ministral3ForCausalLM"], model_type="ministral3",
        rope_parameters=dict(**MINISTRAL_YARN, rope_theta=10000.0, llama_4_scaling_beta=0.3)),
    "mpt": dict(architectures=["MPTForCausalLM"]),
    "qwen2.5-vl": dict(architectures=["Qwen2_5_VLForConditionalGeneration"]),
    "minicpm": dict(architectures=["MiniCPMForCausalLM"], model_type="minicpm", scale_emb=12.0, scale_depth=1.4, dim_model_base=16),
}
# Models of which only the part before the output matrix is saved.
WITHOUT_OUTPUT = ["llama-model"]
CONFIGURATIONS = {"Gemma3": "Gemma3TextConfig", "Llama4": "Llama4TextConfig"}


@functools.cache
def random_model(name):
    """Folder of a model in F32 in which every tensor is random, norms and biases included."""
    family, tokenizer, changes = RANDOM_MODELS[name]
    source = shared(f"tokenizers/{tokenizer}")
    shape = {} if "text_config" in changes else SHAPES.get(family, SHAPE)
    config = getattr(transformers, CONFIGURATIONS.get(family, family + "Config"))(**{**shape, **changes})
    torch.manual_seed(sum(map(ord, name)))
    model = getattr(transformers, CLASSES.get(family, family + "ForCausalLM"))(config)
    for key, parameter in model.named_parameters():
        noise = torch.randn_like(parameter)
        is_gain = key.endswith("weight") and ("norm" in key or "ln_" in key)
        # Some store w for gains of 1 + w; w is BF16 here, as in all published models, which keeps the gains exact.
        is_offset = family.startswith(("Gemma", "Nemotron")) or family == "Qwen3Next" and not key.endswith("linear_attn.norm.weight")
        gain = (0.2 * noise).bfloat16() if is_offset else 1 + 0.2 * noise
        parameter.copy_(gain if is_gain else 0.1 * noise)
        if key.endswith("e_score_correction_bias"):
            parameter.copy_(0.1 * torch.rand_like(parameter))
    for key, buffer in model.named_buffers():
        if key.endswith("e_score_correction_bias"):
            buffer.copy_(0.1 * torch.rand_like(buffer))
    folder = WORK / name
    (model.model if name in WITHOUT_OUTPUT else model).save_pretrained(folder)
    if name in OTHER_KEYS:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | OTHER_KEYS[name]))
    for file in source.iterdir():
        if file.name.startswith(("tokenizer", "vocab.json", "merges.txt", "special_tokens")):
            shutil.copyfile(file, folder / file.name)
    add_tokens(folder / "tokenizer.json", ADDED_TOKENS.get(name, []))
    return folder


def add_tokens(file, texts):
    """Appends special tokens to a tokenizer."""
    if not texts:
        return
    tokenizer = json.loads(file.read_text())
    first = 1 + max([*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])])
    flags = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    tokenizer["added_tokens"] += [dict(id=first + i, content=text, **flags) for i, text in enumerate(texts)]
    file.write_text(json.dumps(tokenizer))


def random_ids(name, count=40):
    """Token ids for a model of RANDOM_MODELS, from the whole vocabulary."""
    changes = RANDOM_MODELS[name][2]
    vocabulary = changes.get("text_config", changes)["vocab_size"]
    torch.manual_seed(7)
    return torch.randint(0, vocabulary, (count,)).tolist()


def load(folder, **options):
    """The model as transformers runs it, in F32."""
    if json.loads((folder / "config.json").read_text())["model_type"] == "gemma2":
        # Other implementations leave out the cap of scores.
        options.setdefault("attn_implementation", "eager")
    model = model_class(folder, options).from_pretrained(folder, dtype=torch.float32, **options).eval()
    # The numbers of its activation stay in BF16 otherwise.
    return model.float() if model.config.model_type == "apertus" else model


class MistralWithTemperature(transformers.MistralForCausalLM):
    """Ministral 3: queries are multiplied by a factor that grows with their position."""
    rope = None

    @classmethod
    def of(cls, rope):
        return type("Ministral3", (cls,), dict(rope=rope))

    def forward(self, *arguments, **options):
        module = transformers.models.mistral.modeling_mistral
        plain = module.apply_rotary_pos_emb

        def rotate(queries, keys, *rest, **more):
            queries, keys = plain(queries, keys, *rest, **more)
            steps = torch.arange(queries.shape[-2]) // self.rope["original_max_position_embeddings"]
            return queries * (1 + self.rope["llama_4_scaling_beta"] * torch.log1p(steps.float()))[:, None], keys

        module.apply_rotary_pos_emb = rotate
        try:
            return super().forward(*arguments, **options)
        finally:
            module.apply_rotary_pos_emb = plain


def model_class(folder, options):
    """The class that computes a model; adds what it needs to the options."""
    stated = json.loads((folder / "config.json").read_text())
    if "text_config" in stated or "vision_config" in stated:
        return transformers.AutoModelForImageTextToText
    if stated["model_type"] == "ministral3":
        rope = stated["rope_parameters"]
        options["config"] = transformers.MistralConfig(
            **{key: value for key, value in stated.items() if key not in ("architectures", "model_type", "rope_parameters")} | dict(
                rope_theta=rope["rope_theta"], rope_scaling={key: value for key, value in rope.items() if key in MINISTRAL_YARN}))
        return MistralWithTemperature.of(rope)
    if stated["model_type"] != "minicpm":
        return transformers.AutoModelForCausalLM
    kept = ("architectures", "model_type", "scale_emb", "scale_depth", "dim_model_base")
    options["config"] = transformers.GraniteConfig(
        **{key: value for key, value in stated.items() if key not in kept} | dict(
            embedding_multiplier=stated["scale_emb"], residual_multiplier=stated["scale_depth"] / stated["num_hidden_layers"]**0.5,
            logits_scaling=stated["hidden_size"] / stated["dim_model_base"],
            attention_multiplier=(stated["hidden_size"] / stated["num_attention_heads"])**-0.5))
    return transformers.GraniteForCausalLM


def transformers_logits(folder, ids, widens=False, **options):
    """Logits `[tokens, vocabulary]` by transformers, in F32.

    With `widens`, weights that a library unpacked to a shorter type become F32, which the model's own method refuses.
    """
    model = load(folder, **options)
    if widens:
        torch.nn.Module.float(model)
    return model(torch.tensor([ids])).logits[0]


def text_weights(model):
    """The weights of a model without its vision tower, by their names in the class without one."""
    return {
        key.replace("language_model.", ""): value for key, value in model.state_dict().items()
        if not any(part in key for part in ("vision_tower.", "visual.", "multi_modal_projector."))}


def vocabulary_size(folder):
    """Number of rows of the embedding."""
    stated = json.loads((folder / "config.json").read_text())
    return stated.get("text_config", stated)["vocab_size"]
