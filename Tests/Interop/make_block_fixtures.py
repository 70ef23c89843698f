"""Golden bytes of GGUF blocks, made by llama.cpp's own quantizer.

usage: make_block_fixtures.py LIBGGML_BASE FOLDER

Writes rows.f32 and importance.f32 (512 columns), and for each type the bytes that `ggml_quantize_chunk` makes of the rows
without and with importance (TYPE.bin, TYPE-weighted.bin). inputs-q8_0.f32 and inputs-q8_k.f32 are the values to which its reference
rounds the rows for products with blocks of weights. LIBGGML_BASE is a default (not native) build of libggml-base.so.
"""

import ctypes
import pathlib
import sys

import numpy as np

from block_rows import make_importance, make_rows, quantized

COLUMNS = 512
# Number of the type in GGUF, weights and bytes of a block, by the name of its scheme.
TYPES = {
    "q8_0": (8, 32, 34),
    "q4_0": (2, 32, 18),
    "q4_1": (3, 32, 20),
    "q5_0": (6, 32, 22),
    "q5_1": (7, 32, 24),
    "q2_k": (10, 256, 84),
    "q3_k": (11, 256, 110),
    "q4_k": (12, 256, 144),
    "q5_k": (13, 256, 176),
    "q6_k": (14, 256, 210),
    "iq4_nl": (20, 32, 18),
    "iq4_xs": (23, 256, 136),
    "tq1_0": (34, 256, 54),
    "tq2_0": (35, 256, 66),
    "q1_0": (41, 128, 18),
    "q2_0": (42, 64, 18),
    "mxfp4-ggml": (39, 32, 17),
    "nvfp4-ggml": (40, 64, 36),
}


def main():
    library = ctypes.CDLL(sys.argv[1])
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20240)
    rows, importance = make_rows(rng, COLUMNS), make_importance(rng, COLUMNS)
    # Almost zero: a few subnormal 32-bit floats.
    rows = np.vstack([rows, (rng.standard_normal(COLUMNS) * 1e-43).astype(np.float32)])
    rows.tofile(folder / "rows.f32")
    importance.tofile(folder / "importance.f32")
    for name, (number, weights, size) in TYPES.items():
        quantized(sys.argv[1], number, weights, size, rows, None).tofile(folder / f"{name}.bin")
        quantized(sys.argv[1], number, weights, size, rows, importance).tofile(folder / f"{name}-weighted.bin")
    for name, bytes_per_weight in (("q8_0", 34 / 32), ("q8_K", 292 / 256)):
        packed = np.zeros(int(rows.size * bytes_per_weight), np.uint8)
        values = np.zeros_like(rows)
        getattr(library, f"quantize_row_{name}_ref")(
            ctypes.c_void_p(rows.ctypes.data), ctypes.c_void_p(packed.ctypes.data), ctypes.c_int64(rows.size))
        getattr(library, f"dequantize_row_{name}")(
            ctypes.c_void_p(packed.ctypes.data), ctypes.c_void_p(values.ctypes.data), ctypes.c_int64(rows.size))
        values.tofile(folder / f"inputs-{name.lower()}.f32")


main()
