"""Makes microscaling.bin: scales and codes of NVFP4, MXFP4 and MXFP8 by compressed-tensors itself (0.19), for
Tests/QuantCore/SchemeMicroscaling.swift.

    pip install torch compressed-tensors==0.19.0
    python make_microscaling.py
"""
import pathlib

import torch
from compressed_tensors.compressors.mx_utils import compress_mx_scale
from compressed_tensors.compressors.nvfp4.helpers import pack_fp4_to_uint8
from compressed_tensors.quantization.lifecycle.forward import quantize
from compressed_tensors.quantization.quant_scheme import preset_name_to_scheme
from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

ROWS, COLUMNS = 6, 128
# Types whose arithmetic is that of the rule: in half precision the powers of two of small groups are no numbers.
CASES = [("NVFP4A16", torch.bfloat16), ("NVFP4A16", torch.float16), ("NVFP4A16", torch.float32), ("MXFP4A16", torch.bfloat16),
         ("MXFP4A16", torch.float32), ("MXFP8A16", torch.bfloat16), ("MXFP8A16", torch.float32)]


def weights(dtype):
    """16 binades, a group of zeros, tiny negative weights; every value is a number of all three types."""
    w = torch.zeros(ROWS, COLUMNS)
    for r in range(ROWS):
        for c in range(COLUMNS):
            if r != 3 or c >= 32:
                w[r, c] = ((r * 131 + c * 7919) % 255 - 127) * 2.0 ** -(5 + (r * 7 + c // 16 * 3) % 8)
    w[1, 5] = -(2.0**-14)
    return w.to(dtype)


out = bytearray()
for preset, dtype in CASES:
    arguments = preset_name_to_scheme(preset, ["Linear"]).weights
    w = weights(dtype)
    groups = w.unflatten(-1, (-1, arguments.group_size))
    global_scale = generate_gparam(w.min().reshape(1), w.max().reshape(1)) if preset.startswith("NVFP4") else None
    scale, zero = calculate_qparams(groups.amin(-1), groups.amax(-1), arguments, global_scale=global_scale)
    codes = quantize(w, scale, zero, arguments, global_scale=global_scale)
    if global_scale is not None:
        out += global_scale.numpy().tobytes() + scale.to(torch.float8_e4m3fn).view(torch.uint8).numpy().tobytes()
    else:
        out += compress_mx_scale(scale, torch.uint8).numpy().tobytes()
    if preset == "MXFP8A16":
        out += codes.to(torch.float8_e4m3fn).view(torch.uint8).numpy().tobytes()
    else:
        out += pack_fp4_to_uint8(codes).numpy().tobytes()

(pathlib.Path(__file__).parent / "microscaling.bin").write_bytes(out)
