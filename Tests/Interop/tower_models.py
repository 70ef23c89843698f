"""Random models with towers whose classes the pinned transformers does not have: a later one makes them, or they are made tensor by
tensor where no transformers has the class."""
import json

import torch
from safetensors.torch import save_file

from clients import TRANSFORMERS5

TEXT = dict(
    hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, vocab_size=300, pad_token_id=0)
GLM = dict(depth=2, hidden_size=64, num_heads=2, image_size=56, patch_size=14, out_hidden_size=96, intermediate_size=144)
GEMMA4 = dict(
    TEXT, head_dim=32, global_head_dim=32, vocab_size_per_layer_input=300, hidden_size_per_layer_input=16, layer_types=["full_attention"])
SEEN = dict(
    num_hidden_layers=2, hidden_size=64, num_attention_heads=2, num_key_value_heads=2, head_dim=32, patch_size=14, intermediate_size=144,
    position_embedding_size=40)

# Class of a later transformers, its configuration.
LATER = {
    "glm4v": ("Glm4v", dict(text_config=dict(TEXT, hidden_size=96), vision_config=GLM)),
    "glm4v-moe": ("Glm4vMoe", dict(
        text_config=dict(TEXT, hidden_size=96, n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=32),
        vision_config=dict(GLM, attention_bias=True, hidden_act="gelu"))),
    "glm-ocr": ("GlmOcr", dict(text_config=dict(TEXT, hidden_size=96), vision_config=GLM)),
    "gemma4": ("Gemma4", dict(
        text_config=GEMMA4, vision_config=SEEN, audio_config=dict(
            num_hidden_layers=2, hidden_size=64, num_attention_heads=2, output_proj_dims=48, subsampling_conv_channels=[16, 4]))),
    "gemma4-images": ("Gemma4", dict(
        text_config=GEMMA4, vision_config=dict(SEEN, use_clipped_linears=True, standardize=True), audio_config=None)),
    "gemma4-unified": ("Gemma4Unified", dict(
        text_config={key: value for key, value in GEMMA4.items() if "input" not in key}, audio_config=dict(audio_embed_dim=40),
        vision_config=dict(patch_size=4, pooling_kernel_size=3, mm_embed_dim=64, mm_posemb_size=10, output_proj_dims=64))),
}


def whisper_shapes(c):
    width, inner = c["d_model"], c["encoder_ffn_dim"]
    shapes = {
        "audio_tower.conv1.weight": [width, c["num_mel_bins"], 3], "audio_tower.conv1.bias": [width],
        "audio_tower.conv2.weight": [width, width, 3], "audio_tower.conv2.bias": [width],
        "audio_tower.embed_positions.weight": [c["max_source_positions"], width],
        "audio_tower.layer_norm.weight": [width], "audio_tower.layer_norm.bias": [width]}
    for block in range(c["encoder_layers"]):
        for name, out, columns in [
                ("self_attn.q_proj", width, width), ("self_attn.k_proj", width, width), ("self_attn.v_proj", width, width),
                ("self_attn.out_proj", width, width), ("fc1", inner, width), ("fc2", width, inner), ("self_attn_layer_norm", width, None),
                ("final_layer_norm", width, None)]:
            prefix = f"audio_tower.layers.{block}.{name}."
            shapes[prefix + "weight"] = [out, columns] if columns else [out]
            if name != "self_attn.k_proj":
                shapes[prefix + "bias"] = [out]
    return shapes


def ultravox_shapes(c):
    width, inner = c["stack_factor"] * c["audio_config"]["d_model"], c["hidden_size"]
    return whisper_shapes(c["audio_config"]) | {
        "multi_modal_projector.ln_pre.weight": [width], "multi_modal_projector.linear_1.weight": [inner, width],
        "multi_modal_projector.ln_mid.weight": [inner // 2],
        "multi_modal_projector.linear_2.weight": [c["text_config"]["hidden_size"], inner // 2]}


def mobilenet_shapes(prefix, c):
    """One block of every kind in each stage, with the names of timm's mobilenetv5_300m_enc."""
    width = c["hidden_size"]
    shapes = {
        "conv_stem.conv.weight": [8, 3, 3, 3], "conv_stem.conv.bias": [8], "conv_stem.bn.weight": [8],
        "msfa.ffn.pw_exp.conv.weight": [64, 32, 1, 1], "msfa.ffn.pw_exp.bn.weight": [64], "msfa.ffn.pw_proj.conv.weight": [width, 64, 1, 1],
        "msfa.ffn.pw_proj.bn.weight": [width], "msfa.norm.weight": [width],
        "blocks.0.0.conv_exp.weight": [32, 8, 3, 3], "blocks.0.0.bn1.weight": [32], "blocks.0.0.conv_pwl.weight": [16, 32, 1, 1],
        "blocks.0.0.bn2.weight": [16]}
    for block, kernels in [("1.0", ["dw_start", "dw_mid"]), ("2.1", ["dw_start"]), ("3.10", [])]:
        for name in kernels:
            size = 5 if name == "dw_mid" else 3
            shapes |= {f"blocks.{block}.{name}.conv.weight": [16, 1, size, size], f"blocks.{block}.{name}.bn.weight": [16]}
        shapes |= {
            f"blocks.{block}.pw_exp.conv.weight": [64, 16, 1, 1], f"blocks.{block}.pw_exp.bn.weight": [64],
            f"blocks.{block}.pw_proj.conv.weight": [16, 64, 1, 1], f"blocks.{block}.pw_proj.bn.weight": [16],
            f"blocks.{block}.layer_scale.gamma": [16]}
    for block, has_kernels in [("2.2", True), ("3.1", False)]:
        shapes |= {f"blocks.{block}.norm.weight": [16], f"blocks.{block}.layer_scale.gamma": [16]}
        for name in ("query", "key", "value", "output"):
            shapes[f"blocks.{block}.attn.{name}.proj.weight"] = [16, 16, 1, 1]
            if has_kernels and name in ("key", "value"):
                shapes |= {
                    f"blocks.{block}.attn.{name}.down_conv.weight": [16, 1, 3, 3], f"blocks.{block}.attn.{name}.norm.weight": [16]}
    return {prefix + name: shape for name, shape in shapes.items()}


def embedder_shapes(prefix, c, output):
    return {
        prefix + "embedding.weight": [c["vocab_size"], c["hidden_size"]], prefix + "hard_embedding_norm.weight": [c["hidden_size"]],
        prefix + "soft_embedding_norm.weight": [c["hidden_size"]], prefix + "embedding_projection.weight": [output, c["hidden_size"]]}


def conformer_shapes(prefix, c):
    width, channels = c["hidden_size"], c["sscp_conv_channel_size"]
    start = prefix + "subsample_conv_projection."
    shapes = {
        start + "conv_0.conv.weight": [channels[0], 1, 3, 3], start + "conv_0.norm.weight": [channels[0]],
        start + "conv_1.conv.weight": [channels[1], channels[0], 3, 3], start + "conv_1.norm.weight": [channels[1]],
        start + "input_proj_linear.weight": [width, channels[1] * c["input_feat_size"] // 4]}
    norms = [
        "ffw_layer_start.pre_layer_norm", "ffw_layer_start.post_layer_norm", "ffw_layer_end.pre_layer_norm", "ffw_layer_end.post_layer_norm",
        "attention.pre_attn_norm", "attention.post_norm", "lconv1d.pre_layer_norm", "lconv1d.conv_norm", "norm"]
    matrices = {
        "attention.attn.q_proj": (1, 1), "attention.attn.k_proj": (1, 1), "attention.attn.v_proj": (1, 1), "attention.post": (1, 1),
        "attention.attn.relative_position_embedding.pos_proj": (1, 1), "lconv1d.linear_start": (2, 1), "lconv1d.linear_end": (1, 1),
        "ffw_layer_start.ffw_layer_1": (4, 1), "ffw_layer_start.ffw_layer_2": (1, 4), "ffw_layer_end.ffw_layer_1": (4, 1),
        "ffw_layer_end.ffw_layer_2": (1, 4)}
    for block in range(c["conf_num_hidden_layers"]):
        inside = f"{prefix}conformer.{block}."
        shapes |= {f"{inside}{name}.weight": [width] for name in norms}
        shapes |= {f"{inside}{name}.weight": [out * width, columns * width] for name, (out, columns) in matrices.items()}
        shapes[inside + "attention.attn.per_dim_scale"] = [width // c["conf_num_attention_heads"]]
        shapes[inside + "lconv1d.depthwise_conv1d.weight"] = [width, 1, c["conf_conv_kernel_size"]]
    return shapes


def gemma3n_shapes(c):
    output = c["text_config"]["hidden_size"]
    return (
        mobilenet_shapes("model.vision_tower.timm_model.", c["vision_config"]) | conformer_shapes("model.audio_tower.", c["audio_config"])
        | embedder_shapes("model.embed_vision.", c["vision_config"], output)
        | embedder_shapes("model.embed_audio.", c["audio_config"], output))


# Configuration, function that gives the shapes of its tensors.
BY_TENSOR = {
    "ultravox": (dict(
        architectures=["UltravoxModel"], model_type="ultravox", hidden_size=160, stack_factor=4, projector_act="swiglu",
        projector_ln_mid=True, text_config=dict(model_type="llama", hidden_size=96), audio_config=dict(
            model_type="whisper", d_model=64, encoder_ffn_dim=96, encoder_layers=3, num_hidden_layers=3, encoder_attention_heads=2,
            num_mel_bins=16, max_source_positions=48)), ultravox_shapes),
    "gemma3n": (dict(
        architectures=["Gemma3nForConditionalGeneration"], model_type="gemma3n", text_config=dict(
            model_type="gemma3n_text", hidden_size=96),
        vision_config=dict(model_type="gemma3n_vision", architecture="mobilenetv5_300m_enc", hidden_size=64, vocab_size=8),
        audio_config=dict(
            model_type="gemma3n_audio", hidden_size=64, input_feat_size=16, conf_num_hidden_layers=2, conf_num_attention_heads=2,
            conf_conv_kernel_size=5, sscp_conv_channel_size=[16, 4], vocab_size=8)), gemma3n_shapes),
}


def make(name, folder):
    """Saves the model of this name."""
    if name in LATER:
        kind, configuration = LATER[name]
        TRANSFORMERS5.ask(
            "make_random", kind=kind + "ForConditionalGeneration", configuration=kind + "Config", options=configuration, out=str(folder))
        return
    configuration, shapes = BY_TENSOR[name]
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    values = {key: (torch.randn(shape, generator=generator) * 0.05).bfloat16() for key, shape in shapes(configuration).items()}
    save_file(values, folder / "model.safetensors", metadata=dict(format="pt"))
    (folder / "config.json").write_text(json.dumps(configuration))
