"""Writes cases.bin: what compressed-tensors makes of some weights, as the oracle of IntegerScheme and its packings.

Usage: make.py MODEL/model.safetensors OUT.bin [full]
Each case: u32 type (0 bf16, 1 f16, 2 f32), bits, group (0: channel), symmetric, rows, columns; f32 weights, f32 scales,
i32 zero points (of unsigned codes), i32 codes (signed where symmetric); u32 count and words of the packed codes; the same for
the packed zero points.
"""
import struct
import sys

import torch
from compressed_tensors.compressors.quantized_compressors.pack_quantized import pack_to_int32
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import quantize
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors import safe_open

TYPES = [torch.bfloat16, torch.float16, torch.float32]


def case(weight, dtype, bits, group, symmetric):
    weight = weight.to(dtype)
    rows, columns = weight.shape
    strategy = {"strategy": "group", "group_size": group} if group else {"strategy": "channel"}
    args = QuantizationArgs(num_bits=bits, type="int", symmetric=symmetric, **strategy)
    groups = weight.unflatten(-1, (-1, group)) if group else weight.unsqueeze(1)
    scale, zero = calculate_qparams(groups.amin(-1), groups.amax(-1), args)
    zero = zero.to(torch.int8)
    codes = quantize(weight, scale, None if symmetric else zero, args, dtype=torch.int8)
    half = 1 << (bits - 1)
    out = struct.pack("<6I", TYPES.index(dtype), bits, group, symmetric, rows, columns)
    out += weight.float().numpy().tobytes() + scale.float().numpy().tobytes()
    out += (zero.int() + half).numpy().tobytes()
    out += (codes.int() if symmetric else codes.int() + half).numpy().tobytes()
    packed = [pack_to_int32(codes, bits), None if symmetric else pack_to_int32(zero, bits, packed_dim=0)]
    for words in packed:
        words = b"" if words is None else words.contiguous().numpy().tobytes()
        out += struct.pack("<I", len(words) // 4) + words
    return out


def main():
    source, target = sys.argv[1:3]
    torch.manual_seed(1)
    weights = []
    with safe_open(source, "pt") as file:
        names = [n for n in file.keys() if n.endswith("proj.weight")]
        if len(sys.argv) > 3:
            weights = [file.get_tensor(n) for n in names[:7]]
        else:
            weights = [file.get_tensor(names[0])[:4, :256].contiguous()]
    edges = torch.randn(4, 256)
    edges[0] = 0
    edges[1, :128] = edges[1, :128].abs()
    edges[1, 128:] = -edges[1, 128:].abs()
    edges[2] = torch.arange(256) / 16 - 8
    edges[3, 7] = 1000
    weights.append(edges)
    with open(target, "wb") as file:
        for weight in weights:
            for dtype in TYPES:
                for bits in (4, 8):
                    for group in (128, 32, 0):
                        for symmetric in (True, False):
                            file.write(case(weight, dtype, bits, group, symmetric))


main()
