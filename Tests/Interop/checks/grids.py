"""GGUF types that index grids: blocks equal llama.cpp's, files equal llama-quantize's, and llama.cpp computes with them."""
import functools

import gguf
import numpy

from block_rows import make_importance, make_rows, quantized
from clients import CLIENTS, WORK, convert, figure, llama, llama_figures, qconvert, shared
from gguf_files import compare_tensors, tensors
from make_grid_fixtures import TYPES
from models import TINY_LLAMA, calibration_text
from registry import check, require

COLUMNS = 1536
# How llama-quantize is asked for a type; `--pure` makes it the only one.
PRESETS = {
    "iq1_s": "IQ1_S", "iq1_m": "IQ1_M", "iq2_xxs": "IQ2_XXS", "iq2_xs": "IQ2_XS", "iq2_s": "IQ2_M", "iq3_xxs": "IQ3_XXS", "iq3_s": "IQ3_S",
}


def write_model(path, rows):
    """A file of one matrix, of an architecture that nobody knows."""
    writer = gguf.GGUFWriter(path, "blocks")
    writer.add_tensor("blocks.weight", rows)
    finish(writer)
    return path


def write_importance(path, importance):
    writer = gguf.GGUFWriter(path, "imatrix")
    writer.add_type("imatrix")
    writer.add_tensor("blocks.weight.in_sum2", importance)
    writer.add_tensor("blocks.weight.counts", numpy.ones(1, numpy.float32))
    finish(writer)
    return path


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def misplaced(name, rows):
    """Blocks in which llama.cpp's iq3_s stores points at the places of earlier ones: a sub-block of zeros has others behind it."""
    if name != "iq3_s":
        return numpy.zeros((rows.shape[0], COLUMNS // 256), bool)
    return (rows.reshape(rows.shape[0], -1, 8, 32) == 0).all(3).any(2)


@check("many kinds of rows as {} equal llama.cpp's", [(name, "with importance") for name in TYPES] + [
    (name, "without") for name in ("iq3_xxs", "iq3_s")])
def blocks(case):
    name, kind = case
    number, size, _ = TYPES[name]
    rng = numpy.random.default_rng(number)
    rows = numpy.concatenate([make_rows(rng, COLUMNS) for _ in range(20)])
    # A conversion refuses scales that 16 bits cannot hold.
    rows = rows[numpy.abs(rows).max(1) < 1e5]
    importance = make_importance(rng, COLUMNS) if kind != "without" else None
    source = write_model(WORK / "grids.gguf", rows)
    given = ["--importance", write_importance(WORK / "grids.imatrix.gguf", importance)] if importance is not None else []
    target = convert(source, WORK / "grids-own.gguf", "--pure", "--scheme", name, *given, "--force")
    own = numpy.frombuffer(tensors(target)["blocks.weight"].data, numpy.uint8).reshape(rows.shape[0], -1, size)
    expected = quantized(CLIENTS / "bin" / "libggml-base.so", number, 256, size, rows, importance)
    equal = (own == expected).all(2)
    require((equal | misplaced(name, rows)).all(), f"{(~equal).sum()} of {equal.size} blocks differ")
    if not equal.all():
        weights = (1 if importance is None else importance) * numpy.ones(COLUMNS)
        kind = gguf.GGMLQuantizationType(number)
        errors = []
        for packed in (own, expected):
            values = gguf.quants.dequantize(packed.reshape(rows.shape[0], -1), kind).astype(float)
            errors.append((weights * (values - rows) ** 2).reshape(*equal.shape, 256).sum(2))
        require((errors[0] <= errors[1]).all(), "a block that differs has a larger weighted error")
    return f"{equal.sum()} of {equal.size} blocks"


@functools.cache
def plain():
    return convert(TINY_LLAMA, WORK / "grids.bf16.gguf", "--scheme", "bf16")


@functools.cache
def importance():
    path = WORK / "grids-tiny.imatrix.gguf"
    qconvert("calibrate", TINY_LLAMA, path, "--calibration", calibration_text(), "--samples", 16)
    return path


@check("a file in {} equals llama-quantize's, and llama.cpp computes the same with both", list(PRESETS))
def files(name):
    own, reference = WORK / f"own.{name}.gguf", WORK / f"reference.{name}.gguf"
    rest = ["--tensor", "token_embd.weight=q8_0", "--tensor", "output.weight=q8_0"]
    convert(TINY_LLAMA, own, "--pure", "--scheme", PRESETS[name].lower(), *rest, "--importance", importance())
    types = ["--token-embedding-type", "q8_0", "--output-tensor-type", "q8_0"]
    llama("llama-quantize", "--pure", "--imatrix", importance(), *types, plain(), reference, PRESETS[name], 2)
    return same(own, reference, name)


def same(own, reference, type_name):
    """Holds two files that have tensors of a type against each other, byte for byte and in llama.cpp."""
    found = compare_tensors(own, reference)
    require(not found, f"{len(found)} differences: " + "; ".join(found[:4]))
    kinds = {tensor.kind.name for tensor in tensors(own).values()}
    require(type_name.upper() in kinds, f"the file holds {sorted(kinds)}")
    both = [figure(llama_figures(file, shared("text/wikitext2-valid.txt"), 2), "PPL")[0] for file in (own, reference)]
    require(both[0] == both[1], f"perplexities {both[0]} and {both[1]}")
    return f"perplexity {both[0]}"


# Mixes, and the type that is most of each.
MIXES = {
    "iq3_m": "iq3_s", "iq3_s": "iq3_s", "iq3_xs": "iq3_s", "iq3_xxs": "iq3_xxs", "iq2_m": "iq2_s", "iq2_s": "iq2_xs", "iq2_xs": "iq2_xs",
    "iq2_xxs": "iq2_xxs", "iq1_m": "iq1_m", "iq1_s": "iq1_s",
}


@check("the mix {} equals llama-quantize's, and llama.cpp computes the same with both", list(MIXES)[::4], slow_cases=MIXES)
def mixes(name):
    own, reference = WORK / f"own-mix.{name}.gguf", WORK / f"reference-mix.{name}.gguf"
    convert(TINY_LLAMA, own, "--scheme", name, "--importance", importance())
    llama("llama-quantize", "--imatrix", importance(), plain(), reference, name.upper(), 2)
    return same(own, reference, MIXES[name])


@check("1 and 3 threads write the same {}", ["iq2_xs", "iq1_m"])
def threads(name):
    files = [
        convert(
            TINY_LLAMA, WORK / f"threads-{name}-{count}.gguf", "--pure", "--scheme", name, "--tensor", "token_embd.weight=q8_0",
            "--tensor", "output.weight=q8_0", "--importance", importance(), "--threads", count) for count in (1, 3)]
    found = compare_tensors(*files)
    require(not found, "; ".join(found[:4]))
