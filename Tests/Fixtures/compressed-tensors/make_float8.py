"""Writes float8.bin: the FP8 codes and scales that compressed-tensors makes of some weights, as the oracle of Float8Scheme.

Usage: make_float8.py OUT.bin
Cases in this order: for each model type (bf16, f16, f32), for each level (channel, tensor, block128): f32 scales, u8 codes.
The weights are those of `weights` below, which `sampleWeights` of Tests/QuantCore/SchemeFloat8.swift computes too: 8 rows for
channel and tensor, 130 rows for blocks, so that blocks are cut at both edges.
"""
import sys

import torch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import quantize
from compressed_tensors.quantization.utils import calculate_qparams

COLUMNS = 132


def weights(rows):
    """Numbers of 1 to 10 bits over 16 binades, exact in f32; row 3 and the block at the lower right are zero."""
    r = torch.arange(rows).reshape(-1, 1)
    c = torch.arange(COLUMNS).reshape(1, -1)
    values = ((r * 131 + c * 7919) % 1021 - 510) * torch.pow(2.0, -(10 + (r * 7 + c * 3) % 16).float())
    values[3] = 0
    values[128:, 128:] = 0
    return values


def case(dtype, level):
    weight = weights(130 if level == "block" else 8).to(dtype)
    rows, columns = weight.shape
    arguments = QuantizationArgs(
        num_bits=8, type="float", symmetric=True, strategy=level, block_structure=[128, 128] if level == "block" else None)
    if level == "block":
        parts = [[weight[r:r + 128, c:c + 128] for c in range(0, columns, 128)] for r in range(0, rows, 128)]
        low = torch.stack([torch.stack([part.min() for part in row]) for row in parts])
        high = torch.stack([torch.stack([part.max() for part in row]) for row in parts])
    elif level == "channel":
        low, high = weight.amin(1, keepdim=True), weight.amax(1, keepdim=True)
    else:
        low, high = weight.min().reshape(1), weight.max().reshape(1)
    scale, zero = calculate_qparams(low, high, arguments)
    codes = quantize(weight, scale, zero, arguments, dtype=torch.float8_e4m3fn)
    return scale.float().numpy().tobytes() + codes.view(torch.uint8).numpy().tobytes()


with open(sys.argv[1], "wb") as file:
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        for level in ("channel", "tensor", "block"):
            file.write(case(dtype, level))
