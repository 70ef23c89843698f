"""Files in every mix of llama-quantize, and of every block type alone, have its bytes, and llama.cpp gets the same perplexity with both."""
import functools
import re
import subprocess

from clients import CLIENTS, WORK, convert, figure, llama, llama_figures, qconvert, shared
from gguf_files import compare_tensors, metadata, tensors
from models import EVALUATION_TEXT, TINY_LLAMA
from registry import check, require

# Those that the program lists, including aliases.
MIXES = re.findall(r"^ *\d+ +or +(\w+) *:", subprocess.run(
    [CLIENTS / "bin" / "llama-quantize", "--help"], capture_output=True, text=True).stdout.lower(), re.M)
# Block types, and the mix whose main type each is.
TYPES = {
    **{name: name for name in (
        "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q6_k", "iq4_nl", "iq4_xs", "iq3_s", "iq3_xxs", "iq2_xs", "iq2_xxs", "iq1_m",
        "iq1_s", "tq1_0", "tq2_0", "q1_0", "q2_0")},
    "q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m", "iq2_s": "iq2_m", "mxfp4": "mxfp4_moe",
}
# Those that llama-quantize writes only with importance.
IMPORTANT = ["q2_k_s", "iq3_xs", "iq3_xxs", "iq2_m", "iq2_s", "iq2_xs", "iq2_xxs", "iq1_m", "iq1_s"]
# Embedding and output matrix have no importance.
REST = ("--token-embedding-type", "q8_0", "--output-tensor-type", "q8_0")
MODELS = {"tiny-llama": "bf16", "tiny-llama-outlier": "bf16", "stories260k": "f32"}
# Rows of 64, for which llama-quantize has no fallback.
REFUSED = [("q1_0", "stories260k")]


def folder(model):
    return TINY_LLAMA if model == "tiny-llama" else shared(f"models/{model}")


@functools.cache
def plain(model):
    """llama-quantize reads only GGUF files: the weights, unquantized."""
    return convert(folder(model), WORK / f"mixes.{model}.gguf", "--scheme", MODELS[model])


@functools.cache
def importance(model):
    path = WORK / f"mixes.{model}.imatrix.gguf"
    qconvert("calibrate", folder(model), path, "--calibration", EVALUATION_TEXT, "--samples", 16)
    return path


def reference(model, mix, *options):
    """llama-quantize's file."""
    path = WORK / "mixes.reference.gguf"
    path.unlink(missing_ok=True)
    llama("llama-quantize", *options, *(("--imatrix", importance(model)) if mix in IMPORTANT else ()), plain(model), path, mix.upper())
    return path


def compare(model, mix, *options, own_options=None):
    expected = reference(model, mix, *options)
    given = ("--importance", importance(model)) if mix in IMPORTANT else ()
    own = convert(folder(model), WORK / "mixes.own.gguf", "--scheme", mix, *given, *(own_options or options), "--force")
    found = compare_tensors(own, expected)
    for key in ("general.file_type", "general.quantization_version"):
        pair = metadata(own).get(key), metadata(expected).get(key)
        if pair[0] != pair[1]:
            found.append(f"{key} is {pair[0]} instead of {pair[1]}")
    require(not found, f"{len(found)} differences: " + "; ".join(found[:6]))
    perplexities = [figure(llama_figures(file, EVALUATION_TEXT, 2), "Final estimate: PPL") for file in (own, expected)]
    require(perplexities[0] == perplexities[1], f"perplexities {perplexities[0][0]} and {perplexities[1][0]}")
    return f"perplexity {perplexities[0][0]}"


@check(
    "{}: the file has llama-quantize's bytes, and llama.cpp its perplexity", [(mix, "tiny-llama") for mix in MIXES],
    slow_cases=[(mix, model) for model in list(MODELS)[1:] for mix in MIXES if (mix, model) not in REFUSED])
def mixes(case):
    mix, model = case
    return compare(model, mix)


@check("{} alone: the file has llama-quantize's bytes, and llama.cpp its perplexity", [], slow_cases=[*TYPES, "nvfp4"])
def types(name):
    if name == "nvfp4":  # no mix has it
        detail = compare(
            "tiny-llama", "q8_0", "--tensor-type", "attn|ffn=nvfp4", own_options=("--tensor-type", "attn|ffn=nvfp4-ggml"))
    else:
        detail = compare("tiny-llama", TYPES[name], "--pure", *REST)
    held = {tensor.kind for tensor in tensors(WORK / "mixes.own.gguf").values()}
    require(name in held, f"the file holds {sorted(held)}")
    return detail
