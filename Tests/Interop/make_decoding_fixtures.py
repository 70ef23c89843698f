"""Blocks of every GGUF type with their values.

usage: make_decoding_fixtures.py LIBGGML_BASE FOLDER

Writes decoded.bin, three blocks of each type in the order of the types' numbers, and decoded.f32, the values that llama.cpp reads.
Blocks are random bytes, in all but the last with scales of ordinary size. The gguf package must agree on the types it supports.
"""
import pathlib
import sys

import numpy as np

from block_decoders import TYPES, random_blocks, reference_values, same, second_values

BLOCKS = 3


def main():
    folder = pathlib.Path(sys.argv[2])
    rng = np.random.default_rng(7)
    stored, read = [], []
    for name, layout in sorted(TYPES.items(), key=lambda item: item[1].number):
        blocks = random_blocks(layout, BLOCKS, rng)
        values = reference_values(sys.argv[1], layout, blocks)
        second = second_values(layout, blocks)
        assert second is None or same(values, second), name
        stored.append(blocks.ravel())
        read.append(values)
    np.concatenate(stored).tofile(folder / "decoded.bin")
    np.concatenate(read).astype("<f4").tofile(folder / "decoded.f32")


main()
