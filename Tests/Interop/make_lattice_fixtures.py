#!/usr/bin/env python3
"""make_lattice_fixtures.py OUT

Writes Tests/Fixtures/floats/lattices.safetensors: weights that lie on the grids of quantized formats and are stored as plain floats,
each with the codes and scales that it was made of, computed by torch and bitsandbytes. Run with the versions pinned in
requirements.txt.

NAME.TYPE        weights, [4, 256]
NAME.codes       what each weight stands for: codes counted from the zero point, or FP8 and FP4 values
NAME.scales      of each group, F32"""
import sys

import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from safetensors.torch import save_file

generator = torch.Generator().manual_seed(5)
ROWS, COLUMNS = 4, 256
TYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
result = {}


def weights():
    return torch.randn((ROWS, COLUMNS), generator=generator) * 0.02


def save(name, codes, scales, length):
    result[f"{name}.codes"] = codes.to(torch.int32) if codes.dtype != torch.float32 else codes
    result[f"{name}.scales"] = scales.float()
    values = codes.float() * scales.float().repeat_interleave(length, 1)
    for type, dtype in TYPES.items():
        result[f"{name}.{type}"] = values.to(dtype)


def integers(name, bits, length, symmetric, scale_dtype):
    groups = weights().reshape(ROWS, -1, length)
    low, high = groups.amin(-1, keepdim=True).clamp(max=0), groups.amax(-1, keepdim=True).clamp(min=0)
    if symmetric:
        scales = (torch.maximum(-low, high) / ((2**bits - 1) / 2)).to(scale_dtype).float()
        codes = (groups / scales).round().clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    else:
        scales = ((high - low) / (2**bits - 1)).to(scale_dtype).float()
        zeros = (-low / scales).round()
        codes = ((groups / scales).round() + zeros).clamp(0, 2**bits - 1) - zeros
    save(name, codes.reshape(ROWS, COLUMNS).to(torch.int32), scales[..., 0], length)


integers("int4-g128", 4, 128, True, torch.bfloat16)
integers("int4-g32", 4, 32, True, torch.float16)
integers("int4-g64-asym", 4, 64, False, torch.float16)
integers("int3-g64-asym", 3, 64, False, torch.bfloat16)
integers("int8-channel", 8, COLUMNS, True, torch.bfloat16)
integers("int2-g32", 2, 32, True, torch.bfloat16)

# llama.cpp's Q4_0: the weight of largest magnitude has the code -8, whatever its sign.
groups = weights().reshape(ROWS, -1, 32)
largest = groups.gather(-1, groups.abs().argmax(-1, keepdim=True))
scales = (largest / -8).half().float()
codes = (groups / scales + 8.5).floor().clamp(0, 15) - 8
save("q4_0", codes.reshape(ROWS, COLUMNS).to(torch.int32), scales[..., 0], 32)

plain = weights()
scales = (plain.abs().amax(1, keepdim=True) / 448).bfloat16().float()
save("fp8-channel", (plain / scales).clamp(-448, 448).to(torch.float8_e4m3fn).float(), scales, COLUMNS)

# OCP MXFP4: E2M1 under powers of two.
groups = weights().reshape(ROWS, -1, 32)
scales = torch.exp2(groups.abs().amax(-1, keepdim=True).log2().floor() - 2)
levels = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
levels = torch.cat([-levels.flip(0), levels])
codes = levels[(groups / scales).unsqueeze(-1).sub(levels).abs().argmin(-1)]
save("mxfp4", codes.reshape(ROWS, COLUMNS).float(), scales[..., 0], 32)

codes, state = quantize_4bit(weights(), blocksize=64, quant_type="nf4")
result["nf4.scales"] = state.absmax.reshape(ROWS, -1)
for type, dtype in TYPES.items():
    state.dtype = torch.float32
    result[f"nf4.{type}"] = dequantize_4bit(codes, state).to(dtype).reshape(ROWS, COLUMNS)

# Ordinary weights.
for type, dtype in TYPES.items():
    result[f"random.{type}"] = (torch.randn((16, COLUMNS), generator=generator) * 0.02).to(dtype)
save_file({name: tensor.contiguous() for name, tensor in result.items()}, sys.argv[1] + "/lattices.safetensors")
