"""Makes grouped.bin: scales and codes of short floats in groups, for Tests/QuantCore/SchemeGroupedFloat.swift.

Codes of E2M1 and E4M3 are those of ml_dtypes 0.6, those of E3M0 are found in a table of its values; scales follow the two equations of
ZeroQuant-FP (arXiv 2307.09782, §3) with their ceilings and floors; scales and codes of free scales are those of compressed-tensors.

    pip install torch numpy ml_dtypes compressed-tensors==0.14.0.1
    python make.py
"""
import math
import pathlib

import ml_dtypes
import numpy
import torch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import quantize
from compressed_tensors.quantization.utils import calculate_qparams

ROWS, COLUMNS, GROUP = 6, 96, 24
TYPES = {"e4m3": (ml_dtypes.float8_e4m3fn, 448.0), "e2m1": (ml_dtypes.float4_e2m1fn, 6.0), "e3m0": (None, 16.0)}
E3M0 = numpy.array([0.0] + [2.0**e for e in range(-2, 5)])


def weights():
    """16 binades, a group of zeros, largest weights between many powers of two; every value is a number of bfloat16 and half."""
    w = numpy.zeros((ROWS, COLUMNS))
    for r in range(ROWS):
        for c in range(COLUMNS):
            if r != 3 or c >= GROUP:
                size = 127 - 8 * ((r * 4 + c // GROUP) % 8)
                w[r, c] = ((r * 131 + c * 7919) % (2 * size + 1) - size) * 2.0 ** -(5 + (r * 7 + c // GROUP * 3) % 8)
    w[4, 30] = 3.0  # six times 0.5: a scale that is a power of two already
    return w


def codes_of(quotients, name):
    """The nearest codes, ties to even, clamped."""
    kind, largest = TYPES[name]
    clamped = numpy.clip(quotients, -largest, largest)
    if kind is not None:
        return clamped.astype(numpy.float32).astype(kind).view(numpy.uint8).astype(int)
    result = numpy.zeros(clamped.shape, int)
    for index, value in numpy.ndenumerate(clamped):
        distances = abs(E3M0 - abs(value))
        nearest = [i for i in range(8) if distances[i] == distances.min()]
        code = next((i for i in nearest if i % 2 == 0), nearest[0])
        result[index] = code | (8 if value < 0 else 0)
    return result


def values_of(codes, name):
    kind, _ = TYPES[name]
    if kind is not None:
        return codes.astype(numpy.uint8).view(kind).astype(numpy.float64)
    return numpy.where(codes & 8, -1, 1) * E3M0[codes & 7]


def constrained(group, name, unit, importance):
    """The better of the two scales around s that are a power of two times the unit; the larger one if they are about equally good."""
    s = float(numpy.float32(abs(group).max()) / numpy.float32(TYPES[name][1]))
    if s == 0:
        return 2.0 ** math.ceil(math.log2(2.0**-126 / unit)) * unit, codes_of(group, name)
    candidates = []
    for exponent in (math.ceil(math.log2(s / unit)), math.floor(math.log2(s / unit))):
        scale = unit * 2.0**exponent
        codes = codes_of(group / scale, name)
        candidates.append(((importance * (group - values_of(codes, name) * scale) ** 2).sum(), scale, codes))
    larger, smaller = candidates
    return (smaller if smaller[0] < larger[0] * (1 - 1e-5) else larger)[1:]


def main():
    w, out = weights(), bytearray()
    importance = numpy.array([float(1 + c * 37 % 11) for c in range(COLUMNS)])
    for name, (_, largest) in TYPES.items():
        for rule in ("powers", "ratios"):
            unit = 1.0 if rule == "powers" else float(numpy.float32(abs(w).max()) / numpy.float32(largest))
            for weighs in (numpy.ones(COLUMNS), importance):
                groups = [
                    constrained(w[r, g:g + GROUP], name, unit, weighs[g:g + GROUP]) for r in range(ROWS) for g in range(0, COLUMNS, GROUP)]
                out += numpy.array([scale for scale, _ in groups], "<f4").tobytes()
                out += numpy.concatenate([codes for _, codes in groups]).astype(numpy.uint8).tobytes()
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        arguments = QuantizationArgs(num_bits=8, type="float", strategy="group", group_size=GROUP, symmetric=True)
        tensor = torch.from_numpy(w).to(dtype)
        groups = tensor.unflatten(-1, (-1, GROUP))
        scale, zero = calculate_qparams(groups.amin(-1), groups.amax(-1), arguments)
        codes = quantize(tensor, scale, zero, arguments)
        out += scale.to(torch.float32).numpy().tobytes() + codes.to(torch.float8_e4m3fn).view(torch.uint8).numpy().tobytes()
    (pathlib.Path(__file__).parent / "grouped.bin").write_bytes(out)


main()
