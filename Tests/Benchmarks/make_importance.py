"""Writes random importance for the matrices of a GGUF, in the format that every version of llama-quantize reads.

usage: make_importance.py GGUF OUT
"""
import struct
import sys

import gguf
import numpy

rng = numpy.random.default_rng(6)
entries = [
    (tensor.name.encode(), rng.gamma(0.5, 1.0, int(tensor.shape[0])).astype("<f4")) for tensor in gguf.GGUFReader(sys.argv[1]).tensors
    if tensor.name.startswith("blk.") and len(tensor.shape) == 2]
with open(sys.argv[2], "wb") as file:
    file.write(struct.pack("<i", len(entries)))
    for name, values in entries:
        # The values are sums over one call.
        file.write(struct.pack("<i", len(name)) + name + struct.pack("<ii", 1, len(values)) + values.tobytes())
