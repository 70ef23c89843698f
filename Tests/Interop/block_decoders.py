"""The values that other programs read from GGUF blocks: llama.cpp through its library, and the gguf package."""
import ctypes
import dataclasses
import functools

import gguf
import numpy as np


@dataclasses.dataclass(frozen=True)
class Layout:
    number: int
    weights: int
    size: int
    # Byte offsets of 16-bit floats in a block.
    halves: tuple = ()


TYPES = {
    "q4_0": Layout(2, 32, 18, (0,)), "q4_1": Layout(3, 32, 20, (0, 2)), "q5_0": Layout(6, 32, 22, (0,)),
    "q5_1": Layout(7, 32, 24, (0, 2)), "q8_0": Layout(8, 32, 34, (0,)), "q8_1": Layout(9, 32, 36, (0,)),
    "q2_k": Layout(10, 256, 84, (80, 82)), "q3_k": Layout(11, 256, 110, (108,)), "q4_k": Layout(12, 256, 144, (0, 2)),
    "q5_k": Layout(13, 256, 176, (0, 2)), "q6_k": Layout(14, 256, 210, (208,)), "q8_k": Layout(15, 256, 292),
    "iq2_xxs": Layout(16, 256, 66, (0,)), "iq2_xs": Layout(17, 256, 74, (0,)), "iq3_xxs": Layout(18, 256, 98, (0,)),
    "iq1_s": Layout(19, 256, 50, (0,)), "iq4_nl": Layout(20, 32, 18, (0,)), "iq3_s": Layout(21, 256, 110, (0,)),
    "iq2_s": Layout(22, 256, 82, (0,)), "iq4_xs": Layout(23, 256, 136, (0,)), "iq1_m": Layout(29, 256, 56),
    "tq1_0": Layout(34, 256, 54, (52,)), "tq2_0": Layout(35, 256, 66, (64,)), "mxfp4": Layout(39, 32, 17),
    "nvfp4": Layout(40, 64, 36), "q1_0": Layout(41, 128, 18, (0,)), "q2_0": Layout(42, 64, 18, (0,)),
}


class Traits(ctypes.Structure):
    """`struct ggml_type_traits` of ggml.h."""

    _fields_ = [
        ("type_name", ctypes.c_char_p), ("blck_size", ctypes.c_int64), ("blck_size_interleave", ctypes.c_int64),
        ("type_size", ctypes.c_size_t), ("is_quantized", ctypes.c_bool), ("to_float", ctypes.c_void_p),
        ("from_float_ref", ctypes.c_void_p)]


def random_blocks(layout, count, rng):
    """Random bytes; in all blocks but every third, scales of ordinary size."""
    blocks = rng.integers(0, 256, (count, layout.size), np.uint8)
    scales = (rng.standard_normal((count, len(layout.halves))) * 0.02).astype("<f2").view(np.uint8)
    for index, offset in enumerate(layout.halves):
        ordinary = np.arange(count) % 3 != 2
        blocks[ordinary, offset : offset + 2] = scales.reshape(count, -1, 2)[ordinary, index]
    if layout.number == 15:
        blocks[:, :4] = rng.standard_normal(count).astype("<f4").view(np.uint8).reshape(count, 4)
    return blocks


@functools.cache
def traits(library, number):
    get = ctypes.CDLL(library).ggml_get_type_traits
    get.restype = ctypes.POINTER(Traits)
    return get(ctypes.c_int(number)).contents


def reference_values(library, layout, blocks):
    """The values that llama.cpp reads; those of q8_1 and q8_k, for which it has no decoder, by their definition."""
    found = traits(str(library), layout.number)
    assert (found.blck_size, found.type_size) == (layout.weights, layout.size)
    if not found.to_float:
        scale = blocks[:, :2].copy().view("<f2").astype(np.float32) if layout.number == 9 else blocks[:, :4].copy().view("<f4")
        return (blocks[:, 4 : 4 + layout.weights].view(np.int8) * scale).ravel()
    values = np.zeros(len(blocks) * layout.weights, np.float32)
    blocks = np.ascontiguousarray(blocks)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(found.to_float)(
        blocks.ctypes.data, values.ctypes.data, values.size)
    return values


def second_values(layout, blocks):
    """The values that the gguf package reads, or None for a type that it does not support."""
    known = {kind.value: kind for kind in gguf.quants._type_traits}
    if layout.number not in known:
        return None
    with np.errstate(all="ignore"):
        return gguf.quants.dequantize(blocks, known[layout.number]).astype(np.float32).ravel()


def same(a, b):
    """Whether all values have the same bits; all NaNs count as equal."""
    return bool(((a.view("<u4") == b.view("<u4")) | (np.isnan(a) & np.isnan(b))).all())
