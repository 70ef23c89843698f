#!/usr/bin/env python3
"""make.py: writes ue8m0.safetensors with torch 2.13: a BF16 matrix, and what DeepGEMM's rule for square blocks with powers of two for
scales makes of it: scale = 2^ceil(log2(max(amax, 1e-4) / 448)), codes = E4M3(w / scale)."""
import pathlib

import torch
from safetensors.torch import save_file

BLOCK = 128


def main():
    torch.manual_seed(1)
    weight = (torch.randn(200, 300) * torch.logspace(-3, 1, 300)).to(torch.bfloat16)
    weight[:128, 128:256] = 0
    weight[0, 130] = 448
    weight[128:, 256:] *= 1e-8
    rows, columns = -(-weight.shape[0] // BLOCK), -(-weight.shape[1] // BLOCK)
    padded = torch.zeros(rows * BLOCK, columns * BLOCK)
    padded[:200, :300] = weight.float()
    blocks = padded.view(rows, BLOCK, columns, BLOCK)
    ratio = blocks.abs().amax(dim=(1, 3), keepdim=True).clamp(1e-4) / 448
    scale = torch.exp2(torch.ceil(torch.log2(ratio)))
    codes = (blocks / scale).to(torch.float8_e4m3fn).view(rows * BLOCK, columns * BLOCK)[:200, :300].contiguous()
    save_file(
        {"source": weight, "weight": codes, "weight_scale_inv": scale.view(rows, columns).to(torch.float8_e8m0fnu)},
        pathlib.Path(__file__).resolve().parent / "ue8m0.safetensors")


main()
