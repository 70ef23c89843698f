"""GGUFs of towers equal those of llama.cpp's own converter: metadata key by key, tensors byte by byte."""
import functools
import json

import torch
import transformers
from safetensors.torch import load_file, save_file

from checks.metadata import compare_metadata
from clients import WORK, convert, llama, llama_convert
from gguf_files import compare_tensors, metadata, tensors
from registry import check, require

TEXT = dict(
    hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, vocab_size=300, pad_token_id=0)
ROPE = dict(rope_scaling=dict(type="mrope", rope_type="default", mrope_section=[4, 6, 6]))
# Rows of 144 are not a multiple of the blocks of Q8_0. The converter knows no projector with a number beyond that of the blocks.
ENCODER = dict(
    hidden_size=64, intermediate_size=144, num_hidden_layers=4, num_attention_heads=2, image_size=56, patch_size=14, vision_use_head=False)
QWEN = dict(depth=3, num_heads=2, patch_size=14, hidden_size=64)
SOUND = dict(num_mel_bins=16, max_source_positions=48)

# Class, type of the text model, further keys, object of the tower, further keys of the processor.
MODELS = {
    "gemma3": ("Gemma3", dict(), "vision_config", ENCODER, dict(image_seq_length=4)),
    "qwen2-vl": ("Qwen2VL", ROPE, "vision_config", dict(QWEN, embed_dim=48, mlp_ratio=2), dict()),
    "qwen2.5-vl": ("Qwen2_5_VL", ROPE, "vision_config", dict(
        QWEN, intermediate_size=144, out_hidden_size=64, fullatt_block_indexes=[1], window_size=56), dict()),
    "qwen3-vl": ("Qwen3VL", ROPE, "vision_config", dict(
        QWEN, intermediate_size=144, out_hidden_size=64, deepstack_visual_indexes=[0, 2], num_position_embeddings=64), dict()),
    "pixtral": ("Llava", dict(model_type="mistral"), "vision_config", dict(ENCODER, model_type="pixtral"), dict()),
    "mistral3": ("Mistral3", dict(model_type="mistral"), "vision_config", dict(
        ENCODER, model_type="pixtral", hidden_act="silu"), dict()),
    "idefics3": ("Idefics3", dict(model_type="llama"), "vision_config", ENCODER, dict(size=dict(longest_edge=112))),
    "smolvlm": ("SmolVLM", dict(model_type="llama"), "vision_config", dict(ENCODER, intermediate_size=128), dict()),
    "internvl": ("InternVL", dict(model_type="qwen2"), "vision_config", dict(
        ENCODER, image_size=[56, 56], patch_size=[14, 14], use_qk_norm=True, architectures=["InternVisionModel"]), dict()),
    "llama4": ("Llama4", dict(head_dim=32, intermediate_size_mlp=96, num_local_experts=2), "vision_config", dict(
        ENCODER, intermediate_size=256, projector_input_dim=48, projector_output_dim=48, vision_output_dim=48), dict()),
    "lfm2-vl": ("Lfm2Vl", dict(num_hidden_layers=2, layer_types=["conv", "full_attention"]), "vision_config", dict(
        ENCODER, image_size=256, patch_size=16, num_patches=16), dict()),
    "qwen2-audio": ("Qwen2Audio", dict(model_type="qwen2"), "audio_config", dict(
        SOUND, d_model=64, encoder_ffn_dim=96, encoder_layers=3, encoder_attention_heads=2), dict()),
    "voxtral": ("Voxtral", dict(model_type="llama"), "audio_config", dict(
        SOUND, hidden_size=64, intermediate_size=256, num_hidden_layers=3, num_attention_heads=2), dict()),
}
# The converter skips this tensor, without which llama.cpp does not load the tower.
END_OF_ROW = "v.token_embd.img_break"


@functools.cache
def model(name):
    """The folder of a random model. There is no tokenizer beyond the token that Pixtral needs."""
    kind, text, key, tower, processor = MODELS[name]
    folder = WORK / f"tower-{name}"
    torch.manual_seed(0)
    config = getattr(transformers, kind + "Config")(**{"text_config": {**TEXT, **text}, key: tower})
    made = getattr(transformers, kind + "ForConditionalGeneration")(config)
    for weight in made.parameters():
        weight.data = torch.randn(weight.shape) * 0.05
    made.to(torch.float16 if name in ("pixtral", "qwen2-vl") else torch.bfloat16).save_pretrained(folder)
    stated = json.loads((folder / "config.json").read_text())
    stated["architectures"] = [kind + "ForConditionalGeneration"]
    (folder / "config.json").write_text(json.dumps(stated))
    images = dict(image_mean=[0.48, 0.45, 0.40], image_std=[0.26, 0.25, 0.27])
    (folder / "preprocessor_config.json").write_text(json.dumps({**images, **processor}))
    (folder / "tokenizer.json").write_text(json.dumps(dict(added_tokens=[dict(id=7, content="[IMG_BREAK]")])))
    (folder / "tokenizer_config.json").write_text("{}")
    if name == "internvl":
        # The converter does not find the names that this version of transformers saves.
        path = folder / "model.safetensors"
        parts = ("vision_tower.", "multi_modal_projector.")
        save_file({"model." * key.startswith(parts) + key: value for key, value in load_file(path).items()}, path)
    return folder


def differences(own, reference):
    found = compare_metadata("tower", own, reference) + compare_tensors(own, reference)
    # With it, the number of weights may round to another label.
    return [sentence for sentence in found if END_OF_ROW not in sentence and "general.size_label" not in sentence]


TYPES = ("f16", "bf16", "f32", "q8_0")


@check("towers like the converter: {}", [("gemma3", "q8_0"), ("qwen2-vl", "f16")], slow_cases=[(m, t) for m in MODELS for t in TYPES])
def like_the_converter(case):
    name, kind = case
    own = convert(model(name), WORK / f"own-{name}-{kind}.gguf", "--mmproj", "--scheme", kind)
    reference = llama_convert(model(name), WORK / f"reference-{name}-{kind}.gguf", kind, "--mmproj")
    found = differences(own, reference)
    require(not found, f"{len(found)} differences: {'; '.join(found[:3])}")
    if name in ("pixtral", "mistral3"):
        held = load_file(model(name) / "model.safetensors")
        row = next(value for key, value in held.items() if key.endswith("embed_tokens.weight"))[7].float()
        require(tensors(own)[END_OF_ROW].data == row.numpy().tobytes(), "the row of [IMG_BREAK] differs")
    return f"{len(tensors(own))} tensors, {len(metadata(own))} keys"


@check("towers quantized like llama-quantize: {}", ["q4_k_m"], slow_cases=["q8_0", "q5_1"])
def quantized(scheme):
    source = convert(model("gemma3"), WORK / "tower.gguf", "--mmproj", "--scheme", "f16", "--force")
    llama("llama-quantize", source, WORK / f"tower.{scheme}.gguf", scheme.upper(), 2)
    own = convert(source, WORK / f"own-tower.{scheme}.gguf", "--scheme", scheme)
    found = compare_tensors(own, WORK / f"tower.{scheme}.gguf", is_from_ggml=True)
    require(not found, f"{len(found)} differences: {'; '.join(found[:3])}")
