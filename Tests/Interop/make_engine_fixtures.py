#!/usr/bin/env python3
"""make_engine_fixtures.py SHARED OUT [MODEL ...]

Writes the fixtures of Tests/Engine: small random models of every supported family as Hugging Face folders (weights on the
BF16 grid), each with `expected.safetensors`: token ids, logits and the mean absolute inputs of the second block's linear
layers, as transformers computes them in float32. For the trained models in SHARED/models, only the expectations are written,
with the perplexity of the first windows of wikitext2-valid. With MODELs, only these are written. Run with the versions pinned in
requirements.txt."""
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
    "deepseek_v3": ("model.layers.1.", LATENT_SITES),
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
        if model.config.model_type in ("gemma", "gemma2", "gemma3_text") and name.endswith("norm.weight"):
            # The gain is one plus this.
            value = 0.2 * noise
        elif name.lower().endswith("norm.weight") or ".ln_" in name and name.endswith("weight") or "layernorm.weight" in name:
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
        layer = model.get_submodule(blocks + module)
        layer.register_forward_pre_hook(lambda _, x, site=site: seen.__setitem__(site, x[0].abs().flatten(0, -2).mean(0)))
    if model.config.model_type == "gpt_oss":
        observe_stack(model.get_submodule(blocks + "mlp.experts"), seen)
    if model.config.model_type == "granitemoeshared":
        observe_parts(model.get_submodule(blocks + "block_sparse_moe.input_linear"), "feed-forward.input", seen)
        observe_parts(model.get_submodule(blocks + "block_sparse_moe.output_linear"), "feed-forward.output", seen)
    with torch.no_grad():
        logits = model(input_ids=tokens).logits.float()
    return logits, seen


def write_random(name, config):
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    randomise(model)
    folder = os.path.join(OUT, name)
    tokens = torch.randint(0, config.vocab_size, (2, 40), generator=torch.Generator().manual_seed(11))
    logits, seen = observe(model, tokens)
    model.to(torch.bfloat16).save_pretrained(folder)
    os.remove(os.path.join(folder, "generation_config.json"))
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
