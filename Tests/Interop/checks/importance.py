"""Importance matrices: read as llama-quantize reads them, written as llama-imatrix writes them."""
import functools

import gguf
import numpy

from clients import WORK, convert, llama, qconvert, shared
from gguf_files import compare_tensors
from models import TINY_LLAMA, random_model
from registry import check, require

SCHEMES = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k_s", "q4_k_m", "q5_k_m", "q6_k"]


@functools.cache
def text():
    """Some whole windows of text: one program takes windows from the start, the other spreads them over the text."""
    path = WORK / "importance.txt"
    path.write_bytes(shared("text/calibration.txt").read_bytes()[:40_000])
    return path


@functools.cache
def plain(type_name):
    return convert(TINY_LLAMA, WORK / f"importance.{type_name}.gguf", "--scheme", type_name)


@functools.cache
def reference(form):
    """The importance that llama-imatrix finds in a text, as `gguf` or `dat`."""
    path = WORK / f"reference.imatrix.{form}"
    llama(
        "llama-imatrix", "-m", plain("f32"), "-f", text(), "-c", 512, "-t", 1, "--no-ppl", "--output-format", form, "-o", path)
    return path


@functools.cache
def own(form):
    path = WORK / f"own.imatrix.{form}"
    qconvert("calibrate", TINY_LLAMA, path, "--calibration", text(), "--samples", 1000)
    return path


@check("{} with llama-imatrix's importance equals llama-quantize's", [(name, "gguf") for name in SCHEMES] + [("q4_0", "dat"), ("q4_k_m", "dat")])
def weighed(case):
    scheme, form = case
    target, expected = WORK / "weighed.gguf", WORK / "weighed-reference.gguf"
    convert(TINY_LLAMA, target, "--scheme", scheme, "--importance", reference(form), "--force")
    expected.unlink(missing_ok=True)
    llama("llama-quantize", "--imatrix", reference(form), plain("bf16"), expected, scheme.upper())
    found = compare_tensors(target, expected)
    require(not found, f"{len(found)} differences: " + "; ".join(found[:6]))


@check("llama-quantize accepts the importance of calibrate ({})", ["gguf", "dat"])
def accepted(form):
    target, expected = WORK / "accepted.gguf", WORK / "accepted-reference.gguf"
    convert(TINY_LLAMA, target, "--scheme", "q4_k_m", "--importance", own(form), "--force")
    expected.unlink(missing_ok=True)
    said = llama("llama-quantize", "--imatrix", own(form), plain("bf16"), expected, "Q4_K_M")
    require("loaded 56 importance matrix entries" in said, "not all 56 entries were read")
    found = compare_tensors(target, expected)
    require(not found, f"{len(found)} differences: " + "; ".join(found[:6]))


def compare(own_file, expected_file, tolerance):
    """The largest relative difference between sums of squares in two files with the same entries."""
    files = [gguf.GGUFReader(path) for path in (own_file, expected_file)]
    values, expected = ({tensor.name: numpy.array(tensor.data) for tensor in file.tensors} for file in files)
    require(values.keys() == expected.keys(), f"entries differ: {sorted(values.keys() ^ expected.keys())[:4]}")
    worst = 0.0
    for name, array in expected.items():
        require(array.shape == values[name].shape, f"{name}: shape {values[name].shape} instead of {array.shape}")
        worst = max(worst, float(numpy.abs(values[name] - array).max() / numpy.abs(array).max()))
    require(worst < tolerance, f"a sum of squares or tokens differs by {worst:.1e} of the largest")
    for key in ("imatrix.chunk_count", "imatrix.chunk_size"):
        pair = [file.fields[key].contents() for file in files]
        require(pair[0] == pair[1], f"{key} is {pair[0]} instead of {pair[1]}")
    return f"within {worst:.1e} of the largest"


@check("calibrate finds the importance that llama-imatrix finds")
def found():
    return compare(own("gguf"), reference("gguf"), 1e-3)


@functools.cache
def experts(name="mixtral"):
    """A mixture of experts as a GGUF, which stacks them, and the importance that llama-imatrix finds in it."""
    # If windows begin with BOS, llama-imatrix cuts them at other places.
    model = convert(
        random_model(name), WORK / f"{name}.experts.f32.gguf", "--scheme", "f32", "--set-meta", "tokenizer.ggml.add_bos_token=bool:false")
    path = WORK / f"{name}.experts.imatrix.gguf"
    llama("llama-imatrix", "-m", model, "-f", text(), "-c", 256, "-t", 1, "--no-ppl", "-o", path)
    return model, path


@check("calibrate finds the importance of experts that llama-imatrix finds")
def found_experts():
    path = WORK / "experts.own.imatrix.gguf"
    qconvert("calibrate", random_model("mixtral"), path, "--calibration", text(), "--samples", 1000, "--context", 256, "--bos", "off")
    # A token with a near tie between experts may go to another one with other arithmetic.
    return compare(path, experts()[1], 1e-2)


@check("experts with llama-imatrix's importance equal llama-quantize's: {}", [("q4_0", "folder"), ("q4_0", "file"), ("q5_1", "file")])
def weighed_experts(case):
    scheme, kind = case
    target, expected = WORK / "weighed-experts.gguf", WORK / "weighed-experts-reference.gguf"
    model, path = experts()
    convert(random_model("mixtral") if kind == "folder" else model, target, "--scheme", scheme, "--importance", path, "--force")
    expected.unlink(missing_ok=True)
    llama("llama-quantize", "--imatrix", path, model, expected, scheme.upper())
    found = compare_tensors(target, expected)
    require(not found, f"{len(found)} differences: " + "; ".join(found[:6]))


@check("keys and values of a latent, head by head, with importance of {} equal llama-quantize's", ["llama-imatrix", "calibrate"])
def weighed_heads(origin):
    name = "deepseek-v3-saved"
    model, path = experts(name)
    if origin == "calibrate":
        # It has none of keys: their rows are multiplied with queries, which no linear layer reads here.
        path = WORK / "heads.own.imatrix.gguf"
        qconvert("calibrate", random_model(name), path, "--calibration", text(), "--samples", 1000, "--context", 256, "--bos", "off", "--force")
    target, expected = WORK / "weighed-heads.gguf", WORK / "weighed-heads-reference.gguf"
    for source in (random_model(name), model):
        convert(source, target, "--scheme", "q4_0", "--importance", path, "--force")
        expected.unlink(missing_ok=True)
        llama("llama-quantize", "--imatrix", path, model, expected, "Q4_0")
        found = compare_tensors(target, expected)
        require(not found, f"{len(found)} differences: " + "; ".join(found[:6]))
