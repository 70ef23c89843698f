"""gpt-oss: transformers unpacks the stacked experts that qconvert writes, and both ways back give the same numbers."""
import functools
import json

import torch
import transformers
from safetensors.torch import load_file

from clients import WORK, convert
from models import load, transformers_logits
from registry import check, require

# E2M1, by code.
VALUES = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
STACKS = ("gate_up_proj", "down_proj")


@functools.cache
def original():
    """Folder of a random model in BF16 whose experts are wider than they are high."""
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
    """By transformers, which unpacks experts to BF16."""
    return transformers_logits(folder, [37 * place % 256 for place in range(40)], widens=True)


@check("stacked experts of gpt-oss are rounded to the nearest number, and nothing else is changed")
def rounds():
    before, after = tensors(original()), tensors(packed())
    experts = [name for name in before if name.endswith(STACKS)]
    require(len(experts) == 4, f"{len(experts)} stacks")
    changed = {name + part for name in experts for part in ("_blocks", "_scales")}
    require(after.keys() == before.keys() - set(experts) | changed, f"{sorted(after.keys() ^ before.keys())}")
    for name in before.keys() & after.keys():
        require(torch.equal(before[name], after[name]), f"{name} is another")
    for name in experts:
        # Floats are [experts, in, out], codes [experts, out, in].
        weights = before[name].float().transpose(1, 2).unflatten(2, (-1, 32))
        blocks, scales = after[name + "_blocks"], after[name + "_scales"]
        codes = torch.stack([blocks & 15, blocks >> 4], -1).flatten(-2).long()
        require(codes.shape == weights.shape and scales.shape == weights.shape[:-1], f"{name}: {tuple(blocks.shape)}")
        scale = torch.exp2(scales.float() - 127)[..., None]
        nearest = (weights[..., None] - VALUES * scale[..., None]).abs().min(-1).values
        require(torch.equal((weights - VALUES[codes] * scale).abs(), nearest), f"{name}: not the nearest number")
        # Of a group, the largest is between 4 and 7 steps of its scale, where 6 is the largest number.
        steps = (weights.abs().amax(-1) / scale[..., 0])
        require(((steps > 3.4) & (steps <= 7)).all(), f"{name}: scales of {steps.min():.2f} to {steps.max():.2f}")
    return f"{len(experts)} stacks"


@check("experts of gpt-oss in transformers are the numbers that qconvert reads")
def reads():
    config = json.loads((packed() / "config.json").read_text())["quantization_config"]
    require(config["quant_method"] == "mxfp4", str(config))
    floats = convert(packed(), WORK / "gptoss-floats", "--scheme", "bf16")
    theirs, own = load(packed()).state_dict(), tensors(floats)
    for name, tensor in own.items():
        # It holds what it unpacks in BF16, in which all of these are exact.
        require(torch.equal(theirs[name].float(), tensor.float()), f"{name}: other numbers")
    difference = (logits(packed()) - logits(floats)).abs().max().item()
    changed = (logits(packed()) - logits(original())).abs().max().item()
    require(difference == 0 and changed > 0.01, f"logits differ by {difference}, from the original's by {changed}")
    return f"{len(own)} tensors, logits equal"


@check("experts of gpt-oss keep their bytes from folder to folder, and through floats")
def keeps():
    expected = tensors(packed())
    kept = tensors(convert(packed(), WORK / "gptoss-kept"))
    require(kept.keys() == expected.keys() and all(torch.equal(kept[name], expected[name]) for name in kept), "other bytes")
    # What was rounded once is on the grid, and the largest of a group asks for the same scale.
    floats = convert(packed(), WORK / "gptoss-through", "--scheme", "bf16")
    again = tensors(convert(floats, WORK / "gptoss-again", "--scheme", "mxfp4"))
    require(again.keys() == expected.keys(), "other tensors through floats")
    for name in again:
        same = unsigned_zeros if name.endswith("_blocks") else lambda tensor: tensor
        require(torch.equal(same(again[name]), same(expected[name])), f"{name}: other bytes through floats")
    return f"{len(expected)} tensors"


def unsigned_zeros(blocks):
    """Codes without the sign of zero, which rounding makes from small negative numbers and not from zero itself."""
    low, high = blocks & 15, blocks >> 4
    return torch.where(low == 8, 0, low) | torch.where(high == 8, 0, high) << 4
