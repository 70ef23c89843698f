#!/usr/bin/env python3
"""make_hqq_fixtures.py OUT

Writes Tests/Fixtures/hqq/layers.safetensors: weights, what HQQ's library stores for them without its solver, and the zero points that
the solver finds. Run with hqq 0.2.8 and torch; the library is not in requirements.txt, because no other check needs it."""
import sys

import torch
from hqq.core.optimize import shrink_lp_op
from hqq.core.quantize import BaseQuantizeConfig, HQQLinear, Quantizer
from safetensors.torch import save_file

torch.manual_seed(23)
weights = torch.distributions.StudentT(4.0).sample((16, 128)) * 0.05
weights[3, :64] = 0.25  # a range of 0
weights[5, 64:] *= 2e-3  # a range so small that the inverse of the scale is bounded
result = {"weights": weights}

for bits in [8, 4, 2, 1]:
    for dtype in [torch.float32, torch.float16, torch.bfloat16]:
        name = f"hqq{bits}." + {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}[dtype]
        linear = torch.nn.Linear(128, 16, bias=False)
        linear.weight.data = weights.clone()
        settings = BaseQuantizeConfig(nbits=bits, group_size=64, axis=1)
        settings["weight_quant_params"]["optimize"] = False
        layer = HQQLinear(linear, settings, compute_dtype=dtype, device="cpu")
        for part, tensor in layer.state_dict().items():
            if tensor is not None and (dtype == torch.bfloat16 or part in ("W_q", "scale", "zero")):
                result[f"{name}.{part}"] = tensor.detach()

# The solver: its rounds as the library computes them, keeping the zero point with the smallest mean absolute error of each group; and
# the errors of the groups as the library itself leaves them, which stops at the mean of the matrix.
for bits in [4, 2]:
    groups = weights.reshape(-1, 64)
    low, high = groups.amin(1, keepdim=True), groups.amax(1, keepdim=True)
    top, beta = 2**bits - 1, 10.0
    inverse = torch.where(high - low <= 1e-4, torch.ones_like(high), top / (high - low)).clamp(max=2e4)
    zero = -low * inverse
    if bits == 4:
        zero = zero.round()
    best, kept = torch.full_like(zero, torch.inf), zero
    for _ in range(21):
        codes = (groups * inverse + zero).round().clamp(0, top)
        values = (codes - zero) / inverse
        error = (groups - values).abs().mean(1, keepdim=True)
        kept, best = torch.where(error < best, zero, kept), torch.minimum(error, best)
        zero = (codes - (groups - shrink_lp_op(groups - values, beta, 0.7)) * inverse).mean(1, keepdim=True)
        beta *= 1.01
    result[f"solved{bits}.zero"], result[f"solved{bits}.error"] = kept, best
    codes, meta = Quantizer.quantize(weights, nbits=bits, group_size=64, axis=1, round_zero=bits == 4, bitpack=False, device="cpu")
    result[f"library{bits}.error"] = (groups - (codes - meta["zero"]) * meta["scale"]).abs().mean(1, keepdim=True)
save_file({name: tensor.contiguous() for name, tensor in result.items()}, sys.argv[1] + "/layers.safetensors")
