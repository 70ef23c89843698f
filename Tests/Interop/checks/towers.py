"""GGUFs of towers equal those of llama.cpp's own converter: metadata key by key, tensors byte by byte."""
import functools
import json
import re
import shutil
import sys

import numpy
import torch
import transformers
from safetensors.torch import load_file, save_file

from checks.metadata import compare_metadata
from clients import CLIENTS, WORK, convert, llama, llama_convert, run
from gguf_files import compare_tensors, metadata, tensors
from registry import check, require
from tower_models import BY_TENSOR, LATER, TEXT, make

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
# The converter has no name for these norms of published models, and fails. The expected names are those of the same norms in Gemma 4.
UNKNOWN = {"gemma3n": re.compile(r"conv_projection\.conv_\d\.norm")}


@functools.cache
def model(name):
    """The folder of a random model. There is no tokenizer beyond the token that Pixtral needs."""
    folder = WORK / f"tower-{name}"
    if name in MODELS:
        make_pinned(name, folder)
    else:
        make(name, folder)
    images = dict(image_mean=[0.48, 0.45, 0.40], image_std=[0.26, 0.25, 0.27])
    (folder / "preprocessor_config.json").write_text(json.dumps({**images, **MODELS.get(name, [{}])[-1]}))
    (folder / "tokenizer.json").write_text(json.dumps(dict(added_tokens=[dict(id=7, content="[IMG_BREAK]")])))
    (folder / "tokenizer_config.json").write_text("{}")
    return folder


def make_pinned(name, folder):
    kind, text, key, tower, _ = MODELS[name]
    torch.manual_seed(0)
    config = getattr(transformers, kind + "Config")(**{"text_config": {**TEXT, **text}, key: tower})
    made = getattr(transformers, kind + "ForConditionalGeneration")(config)
    for weight in made.parameters():
        weight.data = torch.randn(weight.shape) * 0.05
    made.to(torch.float16 if name in ("pixtral", "qwen2-vl") else torch.bfloat16).save_pretrained(folder)
    stated = json.loads((folder / "config.json").read_text())
    stated["architectures"] = [kind + "ForConditionalGeneration"]
    (folder / "config.json").write_text(json.dumps(stated))
    if name == "internvl":
        # The converter does not find the names that this version of transformers saves.
        path = folder / "model.safetensors"
        parts = ("vision_tower.", "multi_modal_projector.")
        save_file({"model." * key.startswith(parts) + key: value for key, value in load_file(path).items()}, path)


def differences(own, reference):
    found = compare_metadata("tower", own, reference) + compare_tensors(own, reference)
    # With it, the number of weights may round to another label.
    found = [sentence for sentence in found if END_OF_ROW not in sentence and "general.size_label" not in sentence]
    return [sentence for sentence in found if not differs_in_last_bit(sentence.split()[0], own, reference)]


def differs_in_last_bit(name, own, reference):
    """Whether it is a tensor made by softplus, which PyTorch computes in single precision."""
    if "per_dim_scale" not in name:
        return False
    ours, theirs = (numpy.frombuffer(tensors(path)[name].data, "<f4") for path in (own, reference))
    return bool((numpy.abs(ours - theirs) <= numpy.spacing(theirs)).all())


TYPES = ("f16", "bf16", "f32", "q8_0")


@functools.cache
def known_to_converter(name):
    """The folder, without tensors that this version of the converter has no name for."""
    if name not in UNKNOWN:
        return model(name)
    folder = WORK / "known" / model(name).name
    shutil.copytree(model(name), folder)
    path = folder / "model.safetensors"
    save_file({key: value for key, value in load_file(path).items() if not UNKNOWN[name].search(key)}, path, metadata=dict(format="pt"))
    return folder


CASES = [("gemma3", "q8_0"), ("qwen2-vl", "f16"), ("ultravox", "f16"), ("gemma3n", "q8_0")]


@check("towers like the converter: {}", CASES, slow_cases=[(m, t) for m in (*MODELS, *LATER, *BY_TENSOR) for t in TYPES])
def like_the_converter(case):
    name, kind = case
    own = convert(model(name), WORK / f"own-{name}-{kind}.gguf", "--mmproj", "--scheme", kind)
    reference = llama_convert(known_to_converter(name), WORK / f"reference-{name}-{kind}.gguf", kind, "--mmproj")
    found = [sentence for sentence in differences(own, reference) if name not in UNKNOWN or "a.conv1d" not in sentence]
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


def of_older_script(scheme):
    """What llama.cpp's older script for CLIP writes for the tower of a random Llava, and the folder of that model."""
    folder, parts = WORK / f"llava-{scheme}", WORK / f"llava-{scheme}-parts"
    torch.manual_seed(0)
    config = transformers.LlavaConfig(
        text_config={**TEXT, "model_type": "llama"}, vision_config=dict(
            model_type="clip_vision_model", projection_dim=48,
            **{key: value for key, value in ENCODER.items() if key != "vision_use_head"}),
        vision_feature_layer=-2)
    made = transformers.LlavaForConditionalGeneration(config)
    for weight in made.parameters():
        weight.data = (torch.randn(weight.shape) * 0.05).half().float()
    made.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(dict(image_mean=[0.48, 0.45, 0.40], image_std=[0.26, 0.25, 0.27])))
    made.model.vision_tower.save_pretrained(parts)
    stated = json.loads((parts / "config.json").read_text()) | dict(vision_feature_layer=-2)
    (parts / "config.json").write_text(json.dumps(stated))
    projector = {f"multi_modal_projector.{key}": value for key, value in made.model.multi_modal_projector.state_dict().items()}
    torch.save(projector, parts / "llava.projector")
    run([
        sys.executable, CLIENTS / "llama/tools/mtmd/legacy-models/convert_image_encoder_to_gguf.py", "-m", parts, "--clip-model-is-vision",
        "--llava-projector", parts / "llava.projector", "--image-mean", "0.48", "0.45", "0.40", "--image-std", "0.26", "0.25", "0.27",
        *(["--use-f32"] if scheme == "f32" else [])])
    return folder, parts / f"mmproj-model-{scheme}.gguf"


@check("towers of LLaVA like llama.cpp's older script for CLIP: {}", ["f16"])
def llava(scheme):
    folder, reference = of_older_script(scheme)
    own = convert(folder, WORK / f"own-llava-{scheme}.gguf", "--mmproj", "--scheme", scheme)
    expected, found = metadata(reference), metadata(own)
    differing = [key for key, value in expected.items() if key.startswith("clip.") and found.get(key) != value]
    require(not differing, f"other values of {differing[:4]}")
    # The script calls the first layer of a feed-forward network the second; llama.cpp loads both orders.
    swapped = {"ffn_up": "ffn_down", "ffn_down": "ffn_up"}
    expected = {re.sub("ffn_(up|down)", lambda match: swapped[match[0]], key): value for key, value in tensors(reference).items()}
    found = tensors(own)
    require(expected.keys() == found.keys(), f"other tensors: {sorted(expected.keys() ^ found.keys())[:4]}")
    differing = [key for key, value in expected.items() if (value.kind, value.data) != (found[key].kind, found[key].data)]
    require(not differing, f"{len(differing)} tensors differ, such as {differing[:3]}")
    return f"{len(found)} tensors"
