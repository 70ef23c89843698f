"""A later transformers than the pinned one: it renames modules while it loads, and keeps the experts of a layer in one parameter."""
from answering import answer  # first: it redirects what the others print

import torch
import transformers

torch.set_grad_enabled(False)
transformers.logging.set_verbosity_error()
SHAPE = dict(
    vocab_size=512, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=128, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, pad_token_id=0)
ROUTED = dict(moe_intermediate_size=256, num_experts=4, num_experts_per_tok=2)
SEEN = dict(hidden_size=128, intermediate_size=300, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14)
MODELS = {
    "llava": ("LlavaForConditionalGeneration", "LlavaConfig", dict(
        text_config=dict(model_type="llama", **SHAPE), vision_config=dict(model_type="clip_vision_model", projection_dim=128, **SEEN),
        image_token_index=500, tie_word_embeddings=False)),
    "gemma3": ("Gemma3ForConditionalGeneration", "Gemma3Config", dict(
        text_config=dict(head_dim=64, sliding_window=64, **SHAPE), vision_config=dict(model_type="siglip_vision_model", **SEEN),
        mm_tokens_per_image=4, image_token_index=500, tie_word_embeddings=False)),
    "mistral3": ("Mistral3ForConditionalGeneration", "Mistral3Config", dict(
        text_config=dict(model_type="mistral", head_dim=64, **SHAPE), vision_config=dict(model_type="pixtral", head_dim=64, **SEEN),
        image_token_index=500, tie_word_embeddings=False)),
    "qwen2.5-vl": ("Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLConfig", dict(
        text_config=dict(rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[8, 12, 12]), **SHAPE),
        vision_config=dict(depth=2, hidden_size=128, intermediate_size=300, num_heads=2, out_hidden_size=256, fullatt_block_indexes=[1]),
        image_token_id=500, video_token_id=501, vision_start_token_id=502, vision_end_token_id=503, tie_word_embeddings=False)),
    "mixtral": ("MixtralForCausalLM", "MixtralConfig", dict(num_local_experts=4, num_experts_per_tok=2, **SHAPE)),
    "phimoe": ("PhimoeForCausalLM", "PhimoeConfig", dict(num_local_experts=4, num_experts_per_tok=2, **SHAPE)),
    "qwen2-moe": ("Qwen2MoeForCausalLM", "Qwen2MoeConfig", dict(shared_expert_intermediate_size=256, **ROUTED, **SHAPE)),
    "qwen3-moe": ("Qwen3MoeForCausalLM", "Qwen3MoeConfig", dict(head_dim=64, **ROUTED, **SHAPE)),
    "llama4": ("Llama4ForCausalLM", "Llama4TextConfig", dict(
        head_dim=64, intermediate_size_mlp=512, num_local_experts=4, num_experts_per_tok=1, attention_chunk_size=64,
        no_rope_layers=[1, 0], **SHAPE)),
    "falcon": ("FalconForCausalLM", "FalconConfig", dict(
        vocab_size=512, hidden_size=256, num_hidden_layers=2, num_attention_heads=4, bos_token_id=1, eos_token_id=2)),
}


def make(name, out):
    """Saves a small random model of a class, as transformers saves it: with the names of published checkpoints."""
    kind, configuration, options = MODELS[name]
    model = getattr(transformers, kind)(getattr(transformers, configuration)(**options))
    generator = torch.Generator().manual_seed(7)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5)
    model.to(torch.bfloat16).save_pretrained(out)


def logits(name, folder, ids, out, has_short_experts=False, dequantizes=False, is_short=False):
    """Writes the logits of token ids to `out` as raw F32, and returns the tensors that were missing or left over.

    has_short_experts: computes with experts in BF16, the type to which the library unpacks codes with BF16 scales.
    dequantizes: fills the layers with weights while it loads.
    is_short: computes in BF16."""
    options = dict(quantization_config=transformers.CompressedTensorsConfig(dequantize=True)) if dequantizes else {}
    model, found = getattr(transformers, MODELS[name][0]).from_pretrained(
        folder, dtype=torch.bfloat16 if is_short else torch.float32, attn_implementation="eager", output_loading_info=True, **options)
    if has_short_experts:
        for key, parameter in model.named_parameters():
            if ".experts." in key and parameter.dim() == 3:
                parameter.data = parameter.data.to(torch.bfloat16)
    model.eval()(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float().numpy().tofile(out)
    return sorted(key for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") for key in map(str, found[kind]))


def make_random(kind, configuration, options, out):
    """Saves a random model of any class in BF16. Buffers that are saved, such as the ends of ranges, are random, too."""
    model = getattr(transformers, kind)(getattr(transformers, configuration)(**options))
    generator = torch.Generator().manual_seed(0)
    saved = model.state_dict().keys()
    for name, values in (*model.named_parameters(), *((name, values) for name, values in model.named_buffers() if name in saved)):
        noise = torch.randn(values.shape, generator=generator)
        is_gain = name.endswith("norm.weight")
        values.copy_(1 + 0.2 * noise if is_gain else noise * (0.05 if values.dim() < 2 else values.shape[-1] ** -0.5))
    model.to(torch.bfloat16).save_pretrained(out)


def logits_of(kind, folder, ids, out):
    """Writes the logits of token ids to `out` as raw F32."""
    model = getattr(transformers, kind).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float().numpy().tofile(out)


answer(make=make, logits=logits, make_random=make_random, logits_of=logits_of)
