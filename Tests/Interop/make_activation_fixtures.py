#!/usr/bin/env python3
"""make_activation_fixtures.py OUT

Writes Tests/Fixtures/engine/activations.safetensors: activations of some tokens, and how compressed-tensors rounds them in
float32 for each scheme, by the scheme's name. Run with the versions pinned in requirements.txt."""
import sys

import torch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import fake_quantize
from compressed_tensors.quantization.utils import calculate_qparams, compute_dynamic_scales_and_zp
from safetensors.torch import save_file

generator = torch.Generator().manual_seed(11)
values = torch.randn((9, 96), generator=generator) * torch.logspace(-4, 4, 9)[:, None]
values[1, 40] = 700.0  # an outlier
values[2] = 0.0
values[3, :32] = 0.0
values[4] = (torch.arange(96) - 48).float()
values[4, 0] = -127.5  # the scale becomes 1: halves are ties
values[4, 60:64] = torch.tensor([0.5, 1.5, -0.5, -2.5])
values[5] = values[5].abs()

SCHEMES = {
    "int8-token": dict(num_bits=8, strategy="token"),
    "int4-token": dict(num_bits=4, strategy="token"),
    "int8-token-asym": dict(num_bits=8, strategy="token", symmetric=False),
    "int8-g32": dict(num_bits=8, strategy="group", group_size=32),
    "int8-tensor-dynamic": dict(num_bits=8, strategy="tensor"),
    "fp8-token": dict(num_bits=8, type="float", strategy="token"),
    "fp8-g32": dict(num_bits=8, type="float", strategy="group", group_size=32),
    "fp8-tensor-dynamic": dict(num_bits=8, type="float", strategy="tensor"),
    "int8-tensor": dict(num_bits=8, strategy="tensor"),
    "int8-tensor-asym": dict(num_bits=8, strategy="tensor", symmetric=False),
    "fp8-tensor": dict(num_bits=8, type="float", strategy="tensor"),
    # To compressed-tensors, the channels of a matrix are its rows.
    "int8-channel": dict(num_bits=8, strategy="channel"),
    "int4-channel-asym": dict(num_bits=4, strategy="channel", symmetric=False),
    "fp8-channel": dict(num_bits=8, type="float", strategy="channel"),
}
# The range that static schemes were calibrated on: the last token exceeds it.
RANGE = values[:-1].min(), values[:-1].max()
CHANNELS = values[:-1].amin(0), values[:-1].amax(0)

result = {"values": values, "range": torch.stack(RANGE), "channels": torch.stack(CHANNELS)}
for name, options in SCHEMES.items():
    static = name.startswith(("int8-tensor", "fp8-tensor")) and "dynamic" not in name
    args = QuantizationArgs(**options, dynamic=not static and "channel" not in name)
    if "channel" in name:
        scale, zero = calculate_qparams(CHANNELS[0][:, None], CHANNELS[1][:, None], args)
        result[name] = fake_quantize(values.T, scale, zero, args).T.contiguous()
        continue
    if static:
        scale, zero = calculate_qparams(RANGE[0].reshape(1), RANGE[1].reshape(1), args)
    else:
        scale, zero = compute_dynamic_scales_and_zp(values[None], args, None)
    result[name] = fake_quantize(values[None], scale, zero, args)[0].contiguous()
save_file(result, sys.argv[1] + "/activations.safetensors")
