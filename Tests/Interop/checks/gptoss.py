"""gpt-oss: transformers unpacks the stacked experts that qconvert writes, both round trips give the same weights, and a GGUF of codes
equals that of llama.cpp's converter."""
import functools
import json
import shutil

import numpy
import torch
import transformers
from safetensors.torch import load_file

from checks.logits import deviation, ids_file, own_logits
from checks.metadata import compare_metadata
from clients import WORK, convert, llama, llama_convert, qconvert
from gguf_files import compare_tensors
from models import EVALUATION_TEXT, load, random_ids, random_model, transformers_logits
from registry import check, require

# E2M1, by code.
VALUES = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
STACKS = ("gate_up_proj", "down_proj")


@functools.cache
def original():
    """Folder of a random model in BF16 whose expert matrices are wider than they are high."""
    config = transformers.GptOssConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=32,
        num_local_experts=4, num_experts_per_tok=2, vocab_size=256, max_position_embeddings=256, sliding_window=16, bos_token_id=1,
        eos_token_id=2, pad_token_id=0, tie_word_embeddings=False)
    torch.manual_seed(11)
    model = transformers.GptOssForCausalLM(config).to(torch.bfloat16)
    for parameter in model.parameters():
        parameter.copy_(parameter + 0.1 * torch.randn_like(parameter))
    folder = WORK / "gptoss"
    model.save_pretrained(folder)
    return folder


@functools.cache
def packed():
    return convert(original(), WORK / "gptoss-mxfp4", "--scheme", "mxfp4", "--for", "transformers")


def tensors(folder):
    return load_file(folder / "model.safetensors")


def logits(folder):
    """Logits by transformers, which unpacks experts to BF16."""
    return transformers_logits(folder, [37 * place % 256 for place in range(40)], widens=True)


@check("stacked experts of gpt-oss are rounded to the nearest value, and nothing else changes")
def rounds():
    before, after = tensors(original()), tensors(packed())
    experts = [name for name in before if name.endswith(STACKS)]
    require(len(experts) == 4, f"{len(experts)} stacks")
    changed = {name + part for name in experts for part in ("_blocks", "_scales")}
    require(after.keys() == before.keys() - set(experts) | changed, f"{sorted(after.keys() ^ before.keys())}")
    for name in before.keys() & after.keys():
        require(torch.equal(before[name], after[name]), f"{name} differs")
    for name in experts:
        # Floats are [experts, in, out], codes [experts, out, in].
        weights = before[name].float().transpose(1, 2).unflatten(2, (-1, 32))
        blocks, scales = after[name + "_blocks"], after[name + "_scales"]
        codes = torch.stack([blocks & 15, blocks >> 4], -1).flatten(-2).long()
        require(codes.shape == weights.shape and scales.shape == weights.shape[:-1], f"{name}: {tuple(blocks.shape)}")
        scale = torch.exp2(scales.float() - 127)[..., None]
        nearest = (weights[..., None] - VALUES * scale[..., None]).abs().min(-1).values
        require(torch.equal((weights - VALUES[codes] * scale).abs(), nearest), f"{name}: not the nearest value")
        # The largest weight of a group is between 4 and 7 times its scale, where 6 is the largest value of a code.
        steps = (weights.abs().amax(-1) / scale[..., 0])
        require(((steps > 3.4) & (steps <= 7)).all(), f"{name}: scales of {steps.min():.2f} to {steps.max():.2f}")
    return f"{len(experts)} stacks"


@check("experts of gpt-oss in transformers have the weights that qconvert reads")
def reads():
    config = json.loads((packed() / "config.json").read_text())["quantization_config"]
    require(config["quant_method"] == "mxfp4", str(config))
    floats = convert(packed(), WORK / "gptoss-floats", "--scheme", "bf16")
    theirs, own = load(packed()).state_dict(), tensors(floats)
    for name, tensor in own.items():
        # It keeps unpacked weights in BF16, in which all of these are exact.
        require(torch.equal(theirs[name].float(), tensor.float()), f"{name}: weights differ")
    difference = (logits(packed()) - logits(floats)).abs().max().item()
    changed = (logits(packed()) - logits(original())).abs().max().item()
    require(difference == 0 and changed > 0.01, f"logits differ by {difference}, from the original's by {changed}")
    return f"{len(own)} tensors, logits equal"


@check("experts of gpt-oss keep their bytes from folder to folder, and by way of floats")
def keeps():
    expected = tensors(packed())
    kept = tensors(convert(packed(), WORK / "gptoss-kept"))
    require(kept.keys() == expected.keys() and all(torch.equal(kept[name], expected[name]) for name in kept), "other bytes")
    # Rounded weights are on the grid, and the largest of a group leads to the same scale again.
    floats = convert(packed(), WORK / "gptoss-through", "--scheme", "bf16")
    again = tensors(convert(floats, WORK / "gptoss-again", "--scheme", "mxfp4"))
    require(again.keys() == expected.keys(), "other tensors through floats")
    for name in again:
        same = unsigned_zeros if name.endswith("_blocks") else lambda tensor: tensor
        require(torch.equal(same(again[name]), same(expected[name])), f"{name}: other bytes through floats")
    return f"{len(expected)} tensors"


def unsigned_zeros(blocks):
    """Codes without the sign of zero, which rounding gives to small negative weights but not to zero itself."""
    low, high = blocks & 15, blocks >> 4
    return torch.where(low == 8, 0, low) | torch.where(high == 8, 0, high) << 4


# --- with a tokenizer, so that it can become a GGUF ---------------------------------------------------------------------------

MODEL = "gpt-oss"
METHOD = ("--calibration", EVALUATION_TEXT, "--context", 128, "--samples", 8)


@functools.cache
def codes():
    """Folder of the random model with its experts as MXFP4."""
    return convert(random_model(MODEL), WORK / "gpt-oss.mxfp4", "--scheme", "mxfp4")


def llama_logits(model):
    out = WORK / "gpt-oss.llama.f32"
    llama("llama-logits", model, ids_file(MODEL), out)
    return numpy.fromfile(out, "<f4")


@check("MXFP4 of gpt-oss in a GGUF equals that of llama.cpp's converter, and its bytes come back")
def blocks():
    own = convert(codes(), WORK / "gpt-oss.codes.gguf")
    reference = llama_convert(codes(), WORK / "gpt-oss.codes.reference.gguf", "f32")
    found = compare_metadata(MODEL, own, reference) + compare_tensors(own, reference)
    require(not found, f"{len(found)} differences: " + "; ".join(found[:8]))
    back = tensors(convert(own, WORK / "gpt-oss.codes.back"))
    expected = tensors(codes())
    require(back.keys() == expected.keys(), f"{sorted(back.keys() ^ expected.keys())[:4]}")
    require(all(torch.equal(back[name], expected[name]) for name in back), "other bytes")
    theirs = transformers_logits(codes(), random_ids(MODEL), widens=True)
    measured = deviation(own_logits(own, ids_file(MODEL)), theirs)
    require(measured < 1e-4, f"deviation {measured:.1e}")
    return f"{len(expected)} tensors, logits {measured:.1e}"


@check("gpt-oss with fractional YaRN borders: a folder computes as in transformers, its GGUF as in llama.cpp")
def borders():
    folder = WORK / "gpt-oss.borders"
    shutil.copytree(random_model(MODEL), folder)
    config = json.loads((folder / "config.json").read_text())
    config["rope_theta"] = 10000.0
    (folder / "config.json").write_text(json.dumps(config))
    theirs = transformers_logits(folder, random_ids(MODEL))
    measured = deviation(own_logits(folder, ids_file(MODEL)), theirs)
    require(measured < 1e-4, f"deviation {measured:.1e} of the folder")
    said = qconvert("plan", folder, WORK / "gpt-oss.borders.gguf", "--scheme", "f32", "--json")
    require("YaRN" in said, "the difference is not mentioned")
    file = convert(folder, WORK / "gpt-oss.borders.gguf", "--scheme", "f32")
    expected = llama_logits(file)
    stored = deviation(own_logits(file, ids_file(MODEL)), expected)
    require(stored < 1e-3, f"deviation {stored:.1e} of the GGUF")
    between = deviation(expected, theirs)
    require(between > 1e-3, f"llama.cpp computes the same ({between:.1e})")
    return f"folder {measured:.1e}, GGUF {stored:.1e}, between both {between:.1e}"


@check("gpt-oss by {} runs in llama.cpp", [("gptq", "q8_0"), ("gptq", "mxfp4_moe"), ("awq", "q4_0")], slow_cases=[("gptq", "q4_0")])
def methods(case):
    method, scheme = case
    file = convert(random_model(MODEL), WORK / f"gpt-oss.{method}.{scheme}.gguf", "--scheme", scheme, "--plugin", method, *METHOD)
    # llama.cpp rounds the inputs of block products to 8 bits, by which a token of a random model may go to another expert: the
    # weights are compared as floats.
    floats = convert(file, WORK / f"gpt-oss.{method}.{scheme}.f32.gguf", "--scheme", "f32")
    ids = ids_file(MODEL)
    own = own_logits(file, ids)
    measured = max(deviation(own, own_logits(floats, ids)), deviation(own, llama_logits(floats)))
    require(measured < 1e-3, f"deviation {measured:.1e}")
    require(deviation(own, llama_logits(file)) < 0.5, "the blocks hold a different model")
    return f"{measured:.1e}"


@check("gpt-oss by {} in a folder: experts are unchanged or MXFP4, and transformers computes the same", [
    ("gptq", "int4-g32"), ("awq", "int4-g32-asym"), ("gptq", "mxfp4")])
def folders(case):
    method, scheme = case
    folder = convert(
        random_model(MODEL), WORK / f"gpt-oss.{method}.{scheme}", "--scheme", scheme, "--plugin", method, "--for", "transformers", *METHOD)
    stacks = [name for name in tensors(folder) if ".experts." in name and not name.endswith("_bias")]
    wanted = ("_blocks", "_scales") if scheme == "mxfp4" else STACKS
    require(stacks and all(name.endswith(wanted) for name in stacks), f"{stacks[:4]}")
    measured = deviation(own_logits(folder, ids_file(MODEL)), transformers_logits(folder, random_ids(MODEL), widens=True))
    require(measured < 1e-3, f"deviation {measured:.1e}")
    return f"{measured:.1e}"
