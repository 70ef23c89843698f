"""Every block type is written as llama.cpp's library writes it, from rows of every kind, with and without importance."""
import ctypes
import functools
import struct

import numpy

from block_decoders import TYPES
from checks.decodings import text
from clients import CLIENTS, WORK, convert
from gguf_files import tensors
from models import TINY_LLAMA
from registry import check, require

SCHEMES = {
    **{name: name for name in ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs")},
    **{name: name for name in ("tq1_0", "tq2_0", "q1_0", "q2_0")},
    "mxfp4-ggml": "mxfp4", "nvfp4-ggml": "nvfp4",
}
COLUMNS = 1024


def random_rows(rng):
    """Rows of every kind for which the reference is defined; scales of the types stay within 16-bit floats."""
    def gauss():
        return rng.standard_normal(COLUMNS)

    outliers = gauss()
    outliers[::97] *= 60
    levels = 10.0 ** rng.integers(-9, 3, COLUMNS // 16).repeat(16)
    powers = 2.0 ** rng.integers(-120, 12, COLUMNS // 32).repeat(32)
    return [
        gauss() * 0.02, gauss(), rng.standard_t(2, COLUMNS) * 0.01, rng.standard_t(1, COLUMNS) * 1e-3, outliers, rng.random(COLUMNS),
        numpy.full(COLUMNS, -0.37), numpy.full(COLUMNS, 2.5), numpy.zeros(COLUMNS), -numpy.zeros(COLUMNS), gauss() * levels,
        abs(gauss()) + 0.1, -abs(gauss()) - 0.1, gauss() * 1e-6 + 1, gauss() * 1e-6 - 1, numpy.where(rng.random(COLUMNS) < 0.05, gauss(), 0),
        numpy.sign(gauss()), rng.integers(-1, 2, COLUMNS) * 0.7, rng.integers(-8, 9, COLUMNS) * 0.25,
        numpy.nextafter(powers.astype("<f4"), numpy.float32(0)), *(gauss() * 10.0**power for power in (-7, -12, -15, -16, -20, -30, 2, 4)),
    ]


@functools.cache
def rows():
    """Random rows, and rows of a trained model."""
    rng = numpy.random.default_rng(7)
    found = [row for _ in range(40) for row in random_rows(rng)]
    weights = []
    for tensor in tensors(convert(TINY_LLAMA, WORK / "blocks.f32.gguf", "--scheme", "f32")).values():
        if len(tensor.shape) == 2:
            values = numpy.frombuffer(tensor.data, "<f4")
            weights.append(values[: values.size // COLUMNS * COLUMNS].reshape(-1, COLUMNS))
    return numpy.concatenate([numpy.array(found).astype("<f4"), *weights])


@functools.cache
def source():
    """A GGUF of an unknown architecture with these rows."""
    header = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + text("general.architecture") + struct.pack("<I", 8) + text("blocks")
    header += text("blk.0.ffn_up.weight") + struct.pack("<I2QIQ", 2, COLUMNS, len(rows()), 0, 0)
    path = WORK / "rows.gguf"
    path.write_bytes(header + bytes(-len(header) % 32) + rows().tobytes())
    return path


@functools.cache
def importance():
    """The importance of each column, sometimes zero, and the file that states it."""
    rng = numpy.random.default_rng(8)
    values = rng.gamma(0.5, 1.0, COLUMNS).astype("<f4")
    values[::13] = 0
    name = b"blk.0.ffn_up.weight"
    path = WORK / "rows.imatrix.dat"
    path.write_bytes(struct.pack("<ii", 1, len(name)) + name + struct.pack("<ii", 1, COLUMNS) + values.tobytes() + struct.pack("<ii", 1, 0))
    return path, values


def reference(name, weights):
    layout = TYPES[SCHEMES[name]]
    library = ctypes.CDLL(str(CLIENTS / "bin" / "libggml-base.so"))
    quantize = library.ggml_quantize_chunk
    quantize.restype = ctypes.c_size_t
    quantize.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
    packed = numpy.zeros(rows().size // layout.weights * layout.size, numpy.uint8)
    pointer = None if weights is None else weights.ctypes.data
    quantize(layout.number, rows().ctypes.data, packed.ctypes.data, 0, len(rows()), COLUMNS, pointer)
    return packed


def compare(name, weights, *options):
    own = convert(source(), WORK / "blocks.gguf", "--scheme", name, "--pure", "--plugin", "rtn", "--force", *options)
    expected = reference(name, weights)
    # The only tensor is at the end of the file, followed only by padding. The gguf package does not support all types.
    padding = -expected.size % 32
    found = numpy.fromfile(own, numpy.uint8)[-expected.size - padding :][: expected.size]
    wrong = numpy.flatnonzero((found != expected).reshape(len(rows()), -1).any(1))
    require(wrong.size == 0, f"{wrong.size} rows differ, the first is row {wrong[0] if wrong.size else 0}")
    return f"{rows().size} weights"


@check("rows of every kind as {} are llama.cpp's bytes", SCHEMES)
def plain(name):
    return compare(name, None)


@check("rows of every kind as {} with importance are llama.cpp's bytes", SCHEMES)
def weighted(name):
    path, values = importance()
    return compare(name, values, "--importance", path)
