"""Every tensor type of GGUF is read as llama.cpp reads it, from any bytes and from files of llama-quantize."""
import functools
import struct

import numpy

from block_decoders import TYPES, random_blocks, reference_values, same, second_values
from checks.logits import deviation, f32_gguf, ids_file, own_logits
from checks.simulation import one_block
from clients import CLIENTS, WORK, convert, llama, llama_convert, qconvert
from gguf_files import compare_tensors, tensors
from models import EVALUATION_TEXT, random_model
from registry import check, require

BLOCKS_PER_ROW, ROWS = 3, 40


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def write_blocks(path, layout, blocks):
    """A GGUF of an unknown architecture with one tensor of these blocks."""
    header = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + text("general.architecture") + struct.pack("<I", 8) + text("blocks")
    header += text("blocks.weight") + struct.pack("<I2QIQ", 2, BLOCKS_PER_ROW * layout.weights, ROWS, layout.number, 0)
    data = blocks.tobytes()
    path.write_bytes(header + bytes(-len(header) % 32) + data + bytes(-len(data) % 32))
    return path


@check("any bytes as blocks of {} are read as by llama.cpp and the gguf package", TYPES)
def any_bytes(name):
    layout, library = TYPES[name], CLIENTS / "bin" / "libggml-base.so"
    blocks = random_blocks(layout, 4 * BLOCKS_PER_ROW * ROWS, numpy.random.default_rng(layout.number))
    # A conversion refuses NaN and infinity.
    finite = numpy.isfinite(reference_values(library, layout, blocks).reshape(len(blocks), -1)).all(1)
    blocks = blocks[finite][: BLOCKS_PER_ROW * ROWS]
    packed = write_blocks(WORK / "blocks.gguf", layout, blocks)
    read = convert(packed, WORK / "read.gguf", "--scheme", "f32", "--force")
    own = numpy.frombuffer(tensors(read)["blocks.weight"].data, "<f4")
    values, second = reference_values(library, layout, blocks), second_values(layout, blocks)
    require(same(own, values), "values differ from llama.cpp's")
    require(second is None or same(own, second), "values differ from the gguf package's")
    return f"{own.size} values" + ("" if second is not None else ", not supported by the gguf package")


# Type: its name in llama-quantize's options, and whether it needs importance.
FILES = {
    "q5_1": (["--pure"], "Q5_1", False), "q2_k": (["--pure"], "Q2_K", False), "q3_k": (["--pure"], "Q3_K_M", False),
    "iq4_nl": (["--pure"], "IQ4_NL", False), "iq4_xs": (["--pure"], "IQ4_XS", False), "iq3_s": (["--pure"], "IQ3_S", True),
    "iq3_xxs": (["--pure"], "IQ3_XXS", True), "iq2_s": (["--pure"], "IQ2_M", True), "iq2_xs": (["--pure"], "IQ2_XS", True),
    "iq2_xxs": (["--pure"], "IQ2_XXS", True), "iq1_m": (["--pure"], "IQ1_M", True), "iq1_s": (["--pure"], "IQ1_S", True),
    "tq1_0": (["--pure"], "TQ1_0", False), "tq2_0": (["--pure"], "TQ2_0", False), "mxfp4": (["--pure"], "MXFP4_MOE", False),
    "nvfp4": (["--tensor-type", "attn|ffn=nvfp4"], "Q8_0", False), "q1_0": (["--pure"], "Q1_0", False), "q2_0": (["--pure"], "Q2_0", False),
}


@functools.cache
def plain():
    return convert(one_block(), WORK / "one-block.f32.gguf", "--scheme", "f32")


@functools.cache
def importance():
    path = WORK / "one-block.imatrix.gguf"
    qconvert("calibrate", one_block(), path, "--calibration", EVALUATION_TEXT, "--samples", 16, "--context", 128)
    return path


# Types that take llama-quantize a long time.
SLOW = ["iq2_s", "iq1_m", "iq1_s"]
# llama.cpp rounds the sums of inputs by which minima are multiplied to 16 bits, which is not simulated.
COARSE_SUMS = ["q5_1"]


@check("a file in {} by llama-quantize computes what llama.cpp computes", [name for name in FILES if name not in SLOW], slow_cases=SLOW)
def computes(name):
    options, preset, needs_importance = FILES[name]
    model, ids, out = WORK / f"one-block.{name}.gguf", WORK / "one-block.ids", WORK / "one-block.f32"
    given = ["--imatrix", importance()] if needs_importance else []
    # There is no importance for the embedding and the output matrix.
    rest = ["--token-embedding-type", "q8_0", "--output-tensor-type", "q8_0"]
    llama("llama-quantize", *options, *given, *rest, plain(), model, preset, 2)
    # NVFP4 without a scale of the tensor is a different grid.
    stored = "nvfp4-ggml" if name == "nvfp4" else name
    require(f" {stored} " in qconvert("inspect", model), f"the file has no {stored}")
    ids.write_text(" ".join(str(5 + 3 * i) for i in range(128)))
    llama("llama-logits", model, ids, out)
    expected = numpy.fromfile(out, "<f4")
    exact = own_logits(model, ids)
    qconvert("logits", model, out, "--ids", ids, "--force", "--simulate", "llama.cpp")
    simulated = numpy.fromfile(out, "<f4")
    far, near = (float(numpy.sqrt(((measured - expected) ** 2).mean()) / abs(expected).max()) for measured in (exact, simulated))
    require(near < (1e-3 if name in COARSE_SUMS else far / 3), f"deviation {near:.1e} with rounding of activations, {far:.1e} without")
    return f"deviation {near:.1e}, without rounding of activations {far:.1e}"


@check("a file that llama.cpp's converter splits is read from its first shard")
def shards():
    folder = random_model("llama-gqa-tied")
    llama_convert(folder, WORK / "split.gguf", "f32", "--split-max-tensors", "8")
    parts = sorted(WORK.glob("split-*.gguf"))
    require(len(parts) > 2, f"{len(parts)} shards")
    whole = convert(parts[0], WORK / "whole.gguf", "--scheme", "f32", "--force")
    found = compare_tensors(whole, f32_gguf("llama-gqa-tied"))
    require(not found, "; ".join(found[:4]))
    measured = deviation(own_logits(parts[0], ids_file("llama-gqa-tied")), own_logits(whole, ids_file("llama-gqa-tied")))
    require(measured == 0, f"deviation {measured:.1e}")
    return f"{len(parts)} shards"
