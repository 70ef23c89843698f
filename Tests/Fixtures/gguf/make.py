#!/usr/bin/env python3
"""make.py OUT: a GGUF with a tensor of two rows of 256 numbers in every type that the package gguf knows, all bytes zero.

Needs the package gguf; `types.gguf` was made with version 0.19.0. The package's size of Q8_1 (40 bytes) is that of an early version;
llama.cpp's block has 36, so that this type is left out.
"""
import sys

import gguf
import numpy

writer = gguf.GGUFWriter(sys.argv[1], "llama")
writer.add_uint32("llama.block_count", 1)
for kind, (columns, size) in gguf.GGML_QUANT_SIZES.items():
    if kind.name != "Q8_1":
        writer.add_tensor("t." + kind.name, numpy.zeros((2, 256 // columns * size), dtype=numpy.uint8), raw_dtype=kind)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
