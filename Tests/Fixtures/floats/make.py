#!/usr/bin/env python3
"""make.py OUT: numbers in every floating-point type that safetensors files hold, and what PyTorch reads from them.

Needs torch and safetensors. `types.safetensors` was made with torch 2.13.0 and safetensors 0.8.0.
"""
import sys

import torch
from safetensors.torch import save_file

TYPES = {
    "f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "e4m3": torch.float8_e4m3fn,
    "e5m2": torch.float8_e5m2,
}

torch.manual_seed(1)
numbers = torch.randn(7, 33, dtype=torch.float64) * torch.logspace(-9, 4, 33, dtype=torch.float64)
tensors = {"i64": torch.arange(5)}
for name, kind in TYPES.items():
    tensors[name] = numbers.to(kind)
    tensors[name + ".expected"] = tensors[name].to(torch.float32).clone()
save_file(tensors, sys.argv[1], {"made": "by the reference"})
