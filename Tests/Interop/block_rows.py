"""Rows that are hard to round, and the blocks that llama.cpp makes of them."""
import ctypes

import numpy as np


def make_rows(rng, columns):
    """Rows of many kinds; no squares overflow, because the reference aborts on those."""
    gauss = rng.standard_normal(columns)
    outliers = gauss.copy()
    outliers[::97] *= 60
    levels = 10.0 ** rng.integers(-9, 3, columns // 16).repeat(16)
    rows = [
        gauss * 0.02,
        rng.standard_normal(columns) * 0.02,
        rng.standard_t(2, columns) * 0.01,
        outliers,
        np.full(columns, -0.37),
        np.full(columns, 2.5),
        np.zeros(columns),
        gauss * levels,  # sub-blocks whose stored scale is zero
        np.abs(gauss) + 0.1,
        -np.abs(gauss) - 0.1,
        gauss * 1e-6 + 1,
        np.where(rng.random(columns) < 0.3, gauss, 0),
        np.where(np.arange(columns) % 256 < 64, 0, gauss),  # sub-blocks of zeros
        np.sign(gauss),
        np.round(gauss * 3),  # many equal weights
        gauss * 1e-7,  # scales are subnormal 16-bit floats
        gauss * 1e-8,  # about the smallest weights that some types do not treat as zero
        gauss * 1e-12,
        gauss * 1e-39,  # subnormal 32-bit floats
        gauss * 1e6,  # scales overflow 16 bits
    ]
    return np.array(rows).astype(np.float32)


def make_importance(rng, columns):
    """Mean squares of very different sizes, and some zeros."""
    importance = rng.gamma(0.5, 1.0, columns).astype(np.float32)
    importance[::13] = 0
    return importance


def quantized(library, number, weights, size, rows, importance):
    """Blocks by llama.cpp's own quantizer, with this many weights and bytes: `[rows, blocks, bytes]`."""
    quantize = ctypes.CDLL(str(library)).ggml_quantize_chunk
    quantize.restype = ctypes.c_size_t
    quantize.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
    packed = np.zeros((rows.shape[0], rows.shape[1] // weights, size), np.uint8)
    pointer = None if importance is None else importance.ctypes.data
    written = quantize(number, rows.ctypes.data, packed.ctypes.data, 0, rows.shape[0], rows.shape[1], pointer)
    assert written == packed.size
    return packed
