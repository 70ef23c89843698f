"""Prints the grids of GGUF's layouts of two and three bits in the form used in codebooks.c.

usage: make_codebooks.py

A grid is a set of points whose coordinates are levels; the gguf package lists its points. They are in ascending order if the first
coordinate is the least significant digit, so the set says everything: one bit for every possible point.
"""
import textwrap

from gguf import quants

GRIDS = {"iq2_xxs": quants.IQ2_XXS, "iq2_xs": quants.IQ2_XS, "iq2_s": quants.IQ2_S, "iq1": quants.IQ1_S,
         "iq3_xxs": quants.IQ3_XXS, "iq3_s": quants.IQ3_S}


def main():
    for name, layout in GRIDS.items():
        layout.init_grid()
        levels = [int(level) for level in layout.grid_map]
        points = layout.grid.reshape(layout.grid_shape).astype(int).tolist()
        numbers = [sum(levels.index(x) * len(levels) ** i for i, x in enumerate(point)) for point in points]
        assert numbers == sorted(set(numbers)), name
        bits = sum(1 << number for number in numbers)
        digits = -(-len(levels) ** layout.grid_shape[1] // 4)
        print(f"// {name}: {len(points)} points, levels {levels}")
        for line in textwrap.wrap(f"{bits:0{digits}x}"[::-1], 116):
            print(f'    "{line}"')


main()
