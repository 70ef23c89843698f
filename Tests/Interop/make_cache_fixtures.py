#!/usr/bin/env python3
"""make_cache_fixtures.py OUT

Writes Tests/Fixtures/engine/caches.safetensors: the logits of Tests/Fixtures/engine/qwen2 with rounded keys and values, as transformers
computes them with torch's fake quantization at the places named, by the words that ask qconvert for the same. Scales come from ranges on
the same two windows, without rounding; those of averages from torch's observers. Run with the versions pinned in requirements.txt."""
import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch.ao.quantization.observer import MovingAverageMinMaxObserver
from transformers import AutoModelForCausalLM
from transformers.models.qwen2 import modeling_qwen2

MODEL = pathlib.Path(__file__).parents[1] / "Fixtures/engine/qwen2"
TOKENS = torch.tensor([(i * 29 + 3) % 96 for i in range(48)]).reshape(2, 24)

model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32, attn_implementation="eager").eval()
rotate = modeling_qwen2.apply_rotary_pos_emb
# What passes a place is handed to `visit(place, block, values [windows, heads, tokens, channels])`.
visit, block = None, 0


def rotated(queries, keys, cosines, sines, *rest, **options):
    """Queries and keys of one block, which is the next one."""
    global block
    keys = visit("unrotated-keys", block, keys)
    queries, keys = rotate(queries, keys, cosines, sines, *rest, **options)
    block += 1
    return queries, visit("keys", block - 1, keys)


modeling_qwen2.apply_rotary_pos_emb = rotated
for index, layer in enumerate(model.model.layers):
    def values(module, inputs, output, index=index):
        heads = output.unflatten(-1, (-1, model.config.hidden_size // model.config.num_attention_heads)).transpose(1, 2)
        return visit("values", index, heads).transpose(1, 2).flatten(2)

    layer.self_attn.v_proj.register_forward_hook(values)


def run(chosen):
    global visit, block
    visit, block = chosen, 0
    with torch.no_grad():
        return model(TOKENS, use_cache=False).logits


seen = {}


def remember(place, block, x):
    seen[place, block] = x
    return x


exact = run(remember)


def integers(x, low, high, bits, symmetric=True):
    """Fake quantization with the scales of compressed-tensors, elementwise."""
    low, high = low.clamp(max=0), high.clamp(min=0)
    half = 2 ** (bits - 1)
    scale = torch.maximum(-low, high) / (half - 0.5) if symmetric else (high - low) / (2 * half - 1)
    zero = torch.zeros_like(scale) if symmetric else (-half - low / scale).round().clamp(-half, half - 1)
    return (((x / scale + zero).round().clamp(-half, half - 1)) - zero) * scale


def whole(place, block, x, bits=8):
    return integers(x, seen[place, block].amin(), seen[place, block].amax(), bits)


def averaged(place, block, x):
    observer = MovingAverageMinMaxObserver(averaging_constant=0.1)
    for window in seen[place, block]:
        observer(window)
    return integers(x, observer.min_val, observer.max_val, 8)


def channels(place, block, x, bits, symmetric=True):
    return integers(x, seen[place, block].amin((0, 2), keepdim=True), seen[place, block].amax((0, 2), keepdim=True), bits, symmetric)


def token(place, block, x, bits=8):
    return integers(x, x.amin((1, 3), keepdim=True), x.amax((1, 3), keepdim=True), bits)


def at(rules):
    """Rounds by the rule of each place, if it has one."""
    return lambda place, block, x: rules[place](place, block, x) if place in rules else x


result = {
    "exact": exact,
    "kv=int8-tensor": run(at({"keys": whole, "values": whole})),
    "kv=int8-tensor average:0.9": run(at({"keys": averaged, "values": averaged})),
    "keys=int8-channel,values=int8-token": run(at({"keys": lambda *x: channels(*x, 8), "values": token})),
    "unrotated-keys=int4-channel-asym": run(at({"unrotated-keys": lambda *x: channels(*x, 4, False)})),
    "unrotated-keys=int8-token,values=int8-channel": run(at({"unrotated-keys": token, "values": lambda *x: channels(*x, 8)})),
}
save_file({name: logits.flatten(0, 1).contiguous() for name, logits in result.items()}, sys.argv[1] + "/caches.safetensors")
for name, logits in result.items():
    print(name, ((logits - exact).norm() / exact.norm()).item())
