#!/usr/bin/env python3
"""make.py: writes cases.safetensors with bitsandbytes (0.50, on a CPU).

For each case NAME: `NAME.source` F32 as given, the tensors that bitsandbytes stores for a layer NAME, and `NAME.expected` F32,
what it takes them for. The name says how: TYPE-BLOCK-DTYPE[-double][-ragged], or int8-DTYPE.
"""
import pathlib

import bitsandbytes.functional as F
import torch
from bitsandbytes.nn import Int8Params
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).resolve().parent
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def matrix(kind, block, dtype, rows, columns):
    """Random weights with blocks of zeros, of one number, of tiny numbers, and of numbers halfway between two codes."""
    weight = torch.randn(rows, columns).flatten()
    blocks = weight[:weight.numel() // block * block].view(-1, block)
    blocks[0] = 0
    blocks[1] = -0.25
    blocks[2] *= 1e-7
    blocks[3] = 0
    blocks[3][5] = 1e-40
    table = F.get_4bit_type(kind, device="cpu").sort().values
    blocks[4][0] = 1
    blocks[4][1:16] = (table[1:] + table[:-1]) / 2
    blocks[4][16:32] = table
    return weight.view(rows, columns).to(dtype).float()


def four_bit(kind, block, dtype, double, ragged):
    # Doubly quantized magnitudes come in blocks of 256.
    rows, columns = (90 if double else 6, 190) if ragged else (66 if double else 4, 2 * max(block, 128))
    source = matrix(kind, block, DTYPES[dtype], rows, columns)
    packed, state = F.quantize_4bit(source.to(DTYPES[dtype]), blocksize=block, quant_type=kind, compress_statistics=double)
    stored = {"weight": packed} | {f"weight.{key}": value for key, value in state.as_dict(packed=True).items()}
    state.dtype = torch.float32
    return {"source": source, "expected": F.dequantize_4bit(packed, state)} | stored


def eight_bit(dtype):
    source = torch.randn(6, 40)
    source[1] = 0
    source[2] *= 1e-6
    source[3, :4] = torch.tensor([127.0, 0.5, 1.5, -2.5])
    source = source.to(DTYPES[dtype]).float()
    parameters = Int8Params(source.to(DTYPES[dtype]), requires_grad=False).to("cpu")
    expected = F.int8_vectorwise_dequant(parameters.data, parameters.SCB)
    return {
        "source": source, "weight": parameters.data, "SCB": parameters.SCB, "weight_format": torch.tensor(0, dtype=torch.uint8),
        "expected": expected.float(),
    }


def main():
    torch.manual_seed(5)
    cases = {}
    for kind in ("nf4", "fp4"):
        for block in (64, 128):
            for dtype in ("bf16", "f16", "f32"):
                cases[f"{kind}-{block}-{dtype}"] = four_bit(kind, block, dtype, False, False)
        cases[f"{kind}-64-f32-double"] = four_bit(kind, 64, "f32", True, False)
        cases[f"{kind}-64-bf16-double-ragged"] = four_bit(kind, 64, "bf16", True, True)
        cases[f"{kind}-64-f32-ragged"] = four_bit(kind, 64, "f32", False, True)
    for dtype in DTYPES:
        cases[f"int8-{dtype}"] = eight_bit(dtype)
    tensors = {f"{name}.{key}": value.contiguous().clone() for name, case in cases.items() for key, value in case.items()}
    save_file(tensors, FOLDER / "cases.safetensors")


main()
