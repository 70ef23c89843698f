"""Golden bytes of the GGUF blocks that index grids, made by llama.cpp's own quantizer.

usage: make_grid_fixtures.py LIBGGML_BASE FOLDER

Writes rows.f32 and importance.f32 (512 columns), and for each type the bytes that `ggml_quantize_chunk` makes of the rows with
importance (TYPE-weighted.bin) and, if importance is optional, without it (TYPE.bin). LIBGGML_BASE is a default (not native) build of
libggml-base.so.
"""
import pathlib
import sys

import numpy as np

from block_rows import make_importance, make_rows, quantized

COLUMNS = 512
# Number of the type in GGUF, bytes of a block, whether importance is optional.
TYPES = {
    "iq1_s": (19, 50, False), "iq1_m": (29, 56, True), "iq2_xxs": (16, 66, False), "iq2_xs": (17, 74, False),
    "iq2_s": (22, 82, True), "iq3_xxs": (18, 98, True), "iq3_s": (21, 110, True),
}


def main():
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20241)
    rows, importance = make_rows(rng, COLUMNS), make_importance(rng, COLUMNS)
    rows.tofile(folder / "rows.f32")
    importance.tofile(folder / "importance.f32")
    for name, (number, size, works_without) in TYPES.items():
        quantized(sys.argv[1], number, 256, size, rows, importance).tofile(folder / f"{name}-weighted.bin")
        if works_without:
            quantized(sys.argv[1], number, 256, size, rows, None).tofile(folder / f"{name}.bin")


if __name__ == "__main__":
    main()
