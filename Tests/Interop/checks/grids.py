"""GGUF types that index grids: blocks equal llama.cpp's. Files with them are checked in mixes.py."""
import gguf
import numpy

from block_rows import make_importance, make_rows, quantized
from checks import mixes
from clients import CLIENTS, WORK, convert
from gguf_files import compare_tensors, tensors
from make_grid_fixtures import TYPES
from models import TINY_LLAMA
from registry import check, require

COLUMNS = 1536


def write_model(path, name, rows):
    """A file of one matrix, with an unknown architecture."""
    writer = gguf.GGUFWriter(path, "blocks")
    writer.add_tensor(name, rows)
    finish(writer)
    return path


def write_importance(path, name, importance):
    writer = gguf.GGUFWriter(path, "imatrix")
    writer.add_type("imatrix")
    writer.add_tensor(name + ".in_sum2", importance)
    writer.add_tensor(name + ".counts", numpy.ones(1, numpy.float32))
    finish(writer)
    return path


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def misplaced(name, rows):
    """Blocks in which llama.cpp's iq3_s stores points in the places of earlier ones: those after a sub-block of zeros."""
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
    # Without importance, only embeddings are rounded to all of these types.
    tensor = "blk.0.ffn_up.weight" if importance is not None else "token_embd.weight"
    source = write_model(WORK / "grids.gguf", tensor, rows)
    given = ["--importance", write_importance(WORK / "grids.imatrix.gguf", tensor, importance)] if importance is not None else []
    target = convert(source, WORK / "grids-own.gguf", "--pure", "--scheme", mixes.TYPES[name], *given, "--force")
    own = numpy.frombuffer(tensors(target)[tensor].data, numpy.uint8).reshape(rows.shape[0], -1, size)
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


@check("1 and 3 threads write the same {}", ["iq2_xs", "iq1_m"])
def threads(name):
    files = [
        convert(
            TINY_LLAMA, WORK / f"threads-{name}-{count}.gguf", "--pure", "--scheme", name, "--tensor", "token_embd.weight=q8_0",
            "--tensor", "output.weight=q8_0", "--importance", mixes.importance("tiny-llama"), "--threads", count) for count in (1, 3)]
    found = compare_tensors(*files)
    require(not found, "; ".join(found[:4]))
