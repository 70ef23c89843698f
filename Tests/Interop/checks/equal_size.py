"""Files of equal size, by llama-quantize with an importance matrix and by qconvert, and the quality lost with each in llama.cpp."""
import functools
import pathlib

from clients import WORK, convert, figure, llama, llama_figures, qconvert, shared
from registry import check, require

SAMPLES = ("--samples", 128, "--context", 256)
# Whether a scheme is one of llama-quantize's mixes; otherwise all blocks get it, and embedding and output matrix get Q8_0.
IS_MIX = {
    "q4_0": False, "iq4_xs": False, "q4_k": False, "q3_k": False, "q2_k": False, "iq3_s": False, "iq2_xs": False,
    "q4_k_m": True, "q3_k_m": True, "iq3_m": True}


def calibration():
    return ("--calibration", shared("text/calibration.txt"), *SAMPLES)


@functools.cache
def source(model):
    """The model with this name, or of a GGUF that is not in the repository, whose values in 16 bits are what is quantized."""
    file = pathlib.Path(model)
    return convert(file, WORK / f"{file.stem}.f16.gguf", "--scheme", "f16") if file.is_file() else shared(f"models/{model}")


@functools.cache
def plain(model):
    model = source(model)
    return model if model.is_file() else convert(model, WORK / f"{model.name}.plain.gguf", "--scheme", "f32")


def work(model, name):
    return WORK / f"{pathlib.Path(model).stem}.{name}"


@functools.cache
def importance(model):
    """Mean squares of the inputs of the unquantized model's layers, on the tokens that methods observe."""
    path = work(model, "imatrix.gguf")
    qconvert("calibrate", source(model), path, *calibration())
    return path


@functools.cache
def theirs(model, scheme):
    """llama-quantize's file."""
    target = work(model, f"{scheme}.theirs.gguf")
    types = [] if IS_MIX[scheme] else ["--pure", "--token-embedding-type", "q8_0", "--output-tensor-type", "q8_0"]
    llama("llama-quantize", "--imatrix", importance(model), *types, plain(model), target, scheme.upper())
    return target


@functools.cache
def own(model, scheme, methods):
    """qconvert's file; `methods` is a chain such as awq+gptq."""
    target = work(model, f"{scheme}.{methods}.gguf".replace(":", "-"))
    # A tied model has no output matrix.
    types = [] if IS_MIX[scheme] else ["--pure", "--tensor", r"re:^(token_embd|output)\.weight=q8_0"]
    chain = [part for method in methods.split("+") for part in ("--plugin", method)]
    return convert(source(model), target, "--scheme", scheme, *types, *chain, *calibration())


@functools.cache
def base(model, text, windows):
    """Log-probabilities of the model in F32, by llama-perplexity."""
    path = work(model, f"{text}.{windows}.base")
    llama_figures(plain(model), shared(f"text/{text}.txt"), windows, "--kl-divergence-base", path)
    return path


@functools.cache
def divergence(file, model, text, windows):
    """Mean KL divergence from the model in F32 by llama-perplexity, and its standard error."""
    output = llama_figures(
        file, shared(f"text/{text}.txt"), windows, "--kl-divergence-base", base(model, text, windows), "--kl-divergence")
    return figure(output, "Mean KLD")


TEXTS = ["wikitext2-valid", "prose-valid"]
# One of the models has loud channels, which are scaled before feedback without being asked for.
MODELS = ["tiny-llama", "tiny-llama-outlier"]
CASES = [("tiny-llama", scheme, "gptq", "wikitext2-valid", 10) for scheme in ("q4_0", "q4_k")]
LONG_CASES = [
    (model, scheme, "gptq", text, 60) for model in MODELS for scheme in ("q4_0", "q4_k", "q4_k_m", "q3_k_m", "iq3_m")
    for text in TEXTS]
# Of what llama-quantize with an importance matrix loses, this much may remain.
LARGEST_SHARE = {True: 0.65, False: 0.5}


@check("at equal size, half of an importance matrix's loss in llama.cpp (mixes: 0.65), {} windows", CASES, slow_cases=LONG_CASES)
def loses_half(case):
    """Of a mix, the whole loss: embedding and output matrix included."""
    model, scheme, methods, text, windows = case
    files = own(model, scheme, methods), theirs(model, scheme)
    sizes = [file.stat().st_size for file in files]
    require(abs(sizes[0] - sizes[1]) < 2048, f"{sizes[0]} and {sizes[1]} bytes")
    mine, other = (divergence(file, model, text, windows)[0] for file in files)
    detail = f"KL {mine:.5f} against {other:.5f} ({mine / other:.2f})"
    require(mine < LARGEST_SHARE[IS_MIX[scheme]] * other, detail)
    return f"{detail}, {sizes[0]} bytes"
