"""Gemma 3n: transformers judges the folder, llama.cpp the GGUF. Both agree where gates are wide: llama.cpp divides squares by one channel
less, so each is compared with what computes as it does."""
import functools
import json
import shutil

import numpy
import torch
import transformers
from safetensors.torch import load_file, save_file

from checks.logits import deviation, own_logits
from checks.metadata import compare_metadata
from clients import WORK, convert, llama, llama_convert, shared
from gguf_files import compare_tensors
from models import EVALUATION_TEXT, load, transformers_logits
from registry import check, require

VOCABULARY, TABLE = 512, 500
# llama.cpp has constants for most of these numbers: blocks from 20 on use keys and values of the last two before them.
CONFIGURATION = dict(
    vocab_size=VOCABULARY, vocab_size_per_layer_input=TABLE, hidden_size=256, intermediate_size=512, num_attention_heads=4,
    num_key_value_heads=2, head_dim=64, max_position_embeddings=256, sliding_window=8, num_hidden_layers=22, num_kv_shared_layers=2,
    layer_types=["sliding_attention"] * 4 + ["full_attention"] + (["sliding_attention"] * 4 + ["full_attention"]) * 3 + [
        "full_attention", "sliding_attention"], activation_sparsity_pattern=[0.95] * 10 + [0.0] * 12, hidden_size_per_layer_input=256,
    laurel_rank=64, altup_num_inputs=4, altup_active_idx=0, final_logit_softcapping=30.0, bos_token_id=1, eos_token_id=2, pad_token_id=0)


@functools.cache
def model():
    """A random model with a small vocabulary."""
    torch.manual_seed(3)
    made = transformers.Gemma3nForCausalLM(transformers.Gemma3nTextConfig(**CONFIGURATION))
    for key, parameter in made.named_parameters():
        noise = torch.randn_like(parameter)
        gain = 1 + 0.2 * noise
        # Scores are not divided, so with larger gains one token gets all of the attention, and small errors change which.
        if "q_norm" in key or "k_norm" in key:
            gain *= 0.3
        parameter.copy_(gain if "norm" in key or key.endswith("_scale") else 0.05 * noise)
    folder = WORK / "gemma3n"
    made.config.architectures = ["Gemma3nForCausalLM"]
    made.config.save_pretrained(folder)
    # The class itself saves tensors under mistaken names.
    tensors = {key: value.contiguous() for key, value in made.state_dict().items() if key != "lm_head.weight"}
    save_file(tensors, folder / "model.safetensors", metadata=dict(format="pt"))
    for file in shared("models/stories260k").glob("tokenizer*"):
        shutil.copyfile(file, folder / file.name)
    return folder


@functools.cache
def f32_gguf():
    return convert(model(), WORK / "gemma3n.gguf", "--scheme", "f32")


def ids(count=40):
    """Tokens within the table of blocks; this version of transformers has no rule for others."""
    torch.manual_seed(7)
    return torch.randint(0, TABLE, (count,)).tolist()


def ids_file(chosen):
    path = WORK / "gemma3n.ids"
    path.write_text(" ".join(map(str, chosen)))
    return path


@check("logits of gemma3n: qconvert gives those of transformers, from the folder and from one made from its GGUF")
def transformers_agrees():
    expected = transformers_logits(model(), ids())
    measured = deviation(own_logits(model(), ids_file(ids())), expected)
    require(measured < 1e-4, f"deviation {measured:.1e}")
    back = convert(f32_gguf(), WORK / "gemma3n.back", "--scheme", "f32", "--force")
    returned = deviation(transformers_logits(back, ids()).numpy().ravel(), expected)
    require(returned < 1e-4, f"deviation {returned:.1e} after a GGUF")
    return f"{measured:.1e}, {returned:.1e}"


@check("logits of gemma3n: llama.cpp gives those of qconvert from the GGUF")
def llama_agrees():
    path, out = ids_file(ids()), WORK / "gemma3n.f32"
    llama("llama-logits", f32_gguf(), path, out)
    measured = deviation(own_logits(f32_gguf(), path), numpy.fromfile(out, "<f4"))
    # llama.cpp has the GELU of Gemma as a table of half-precision numbers.
    require(measured < 5e-3, f"deviation {measured:.1e}")
    return f"{measured:.1e}"


@check("GGUF of gemma3n in {} equals that of llama.cpp's converter", ["f32"], slow_cases=["f32", "f16", "bf16"])
def equals_converter(kind):
    own = convert(model(), WORK / f"gemma3n.{kind}.own.gguf", "--scheme", kind)
    reference = llama_convert(model(), WORK / f"gemma3n.{kind}.reference.gguf", kind)
    found = compare_metadata("gemma3n", own, reference) + compare_tensors(own, reference)
    require(not found, f"{len(found)} differences: {'; '.join(found[:6])}")


@check("GGUF of gemma3n in a class with towers equals that of llama.cpp's converter")
def class_with_towers():
    folder = WORK / "gemma3n.towers"
    shutil.copytree(model(), folder)
    stated = json.loads((model() / "config.json").read_text())
    text = {key: value for key, value in stated.items() if key != "architectures"}
    (folder / "config.json").write_text(json.dumps(dict(
        architectures=["Gemma3nForConditionalGeneration"], model_type="gemma3n", text_config=text, vision_config=dict(hidden_size=64))))
    tensors = load_file(model() / "model.safetensors")
    renamed = {key.replace("model.", "model.language_model.", 1): value for key, value in tensors.items()}
    renamed["model.vision_tower.timm_model.conv_stem.conv.weight"] = torch.randn(8, 3, 3, 3)
    save_file(renamed, folder / "model.safetensors", metadata=dict(format="pt"))
    own = convert(folder, WORK / "gemma3n.towers.gguf", "--scheme", "f32")
    reference = llama_convert(folder, WORK / "gemma3n.towers.reference.gguf", "f32")
    found = compare_metadata("gemma3n", own, reference) + compare_tensors(own, reference)
    require(not found, f"{len(found)} differences: {'; '.join(found[:6])}")


@check("{} of gemma3n equals llama-quantize's", ["q4_k_m"], slow_cases=["q4_k_m", "q8_0", "q3_k_m"])
def equals_quantize(scheme):
    own, reference = WORK / "gemma3n.own.gguf", WORK / "gemma3n.quantized.gguf"
    convert(f32_gguf(), own, "--scheme", scheme, "--force")
    reference.unlink(missing_ok=True)
    llama("llama-quantize", f32_gguf(), reference, scheme.upper())
    found = compare_tensors(own, reference)
    require(not found, f"{len(found)} differences: {'; '.join(found[:6])}")


@check("logits of gemma3n: scales that {} folds into producers change nothing", ["awq:search=int4-g32", "smoothquant"])
def folds_change_nothing(method):
    folder = WORK / "gemma3n.folded"
    convert(model(), folder, "--scheme", "f32", "--plugin", method, "--calibration", EVALUATION_TEXT, "--context", 64, "--samples", 4,
        "--force")
    before = load(model()).state_dict()
    changed = sum(not torch.equal(value, before[key]) for key, value in load(folder).state_dict().items())
    require(changed > 0, "no scale was folded")
    measured = deviation(transformers_logits(folder, ids()).numpy().ravel(), transformers_logits(model(), ids()))
    require(measured < 1e-4, f"deviation {measured:.1e}")
    return f"{changed} tensors, {measured:.1e}"


@check("gemma3n is quantized by {}", [("gptq", "w4a16"), ("zeroquant", "w8a8")], slow_cases=[
    ("awq", "w4a16"), ("gptq", "w4a16"), ("smoothquant", "w8a8"), ("zeroquant", "w8a8"), ("gptq", "q4_k_m")])
def methods_run(case):
    method, scheme = case
    target = WORK / ("gemma3n.made" + (".gguf" if scheme.startswith("q") else ""))
    convert(model(), target, "--scheme", scheme, "--plugin", method, "--calibration", EVALUATION_TEXT, "--context", 64, "--samples", 4,
        "--force")
    measured = deviation(own_logits(target, ids_file(ids())), transformers_logits(model(), ids()))
    return f"{measured:.1e}"
