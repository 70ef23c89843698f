"""Quality lost in quantization: qconvert's figures are those of transformers and llama.cpp, and AWQ loses less than rounding."""
import functools
import json
import math

import tokenizers
import torch

from clients import WORK, convert, evaluate, figure, llama_figures, shared
from models import EVALUATION_TEXT, TINY_LLAMA, load
from registry import check, require

WINDOWS = 16
MODELS = ["tiny-llama", "tiny-llama-outlier"]


def model_folder(name):
    return TINY_LLAMA if name == "tiny-llama" else shared(f"models/{name}")


@functools.cache
def quantized(name, scheme, method):
    return convert(model_folder(name), WORK / f"{name}.{scheme}.{method}.gguf", "--scheme", scheme, "--plugin", method)


@functools.cache
def reference(name):
    return convert(model_folder(name), WORK / f"{name}.reference.gguf", "--scheme", "f16")


@functools.cache
def llama_base(name, windows):
    """llama.cpp's log-probabilities of the F16 model, and its perplexity."""
    base = WORK / f"{name}.{windows}.base"
    return base, figure(llama_figures(reference(name), EVALUATION_TEXT, windows, "--kl-divergence-base", base), "Final estimate: PPL")[0]


@functools.cache
def dequantized(name, scheme, method):
    """The quantized file's weights in F32."""
    return convert(quantized(name, scheme, method), WORK / f"{name}.{scheme}.{method}.f32.gguf", "--scheme", "f32")


@functools.cache
def llama_divergence(name, scheme, method, windows, file=quantized):
    """Mean KL divergence from the F16 model and its standard error, by llama-perplexity."""
    base, _ = llama_base(name, windows)
    output = llama_figures(file(name, scheme, method), EVALUATION_TEXT, windows, "--kl-divergence-base", base, "--kl-divergence")
    return figure(output, "Mean KLD")


@functools.cache
def own_divergence(name, scheme, method, windows):
    """The same by qconvert, with llama.cpp's protocol."""
    figures = evaluate(
        quantized(name, scheme, method), "--reference", reference(name), "--text", EVALUATION_TEXT, "--protocol", "llama.cpp",
        "--context", 512, "--windows", windows)
    return figures["kld.mean"], figures["kld.mean.stderr"]


CASES = [(name, scheme, WINDOWS) for name in MODELS for scheme in ("q4_k_m", "q4_0")]
LONG_CASES = [(name, scheme, 56) for name in MODELS for scheme in ("q4_k_m", "q4_0", "q5_k_m", "q4_1")]


@check("AWQ loses less than rounding, {}", CASES, slow_cases=LONG_CASES)
def awq_is_better(case):
    name, scheme, windows = case
    details = []
    for program, divergence in (("qconvert", own_divergence), ("llama.cpp", llama_divergence)):
        rounded, awq = divergence(name, scheme, "rtn", windows)[0], divergence(name, scheme, "awq", windows)[0]
        details.append(f"KL {awq:.5f} against {rounded:.5f} by {program}")
        require(awq < rounded, details[-1])
    return ", ".join(details)


@check("KL divergence by qconvert and by llama-perplexity agree, {}", CASES, slow_cases=LONG_CASES)
def divergences_agree(case):
    name, scheme, windows = case
    details = []
    for method in ("rtn", "awq"):
        own, own_error = own_divergence(name, scheme, method, windows)
        # llama.cpp multiplies quantized weights by activations that it rounds to 8 bits. Unsmoothed outliers do not survive this,
        # which is a loss of its own; for that model, the loss of the weights is compared, with their values in F32.
        file = dequantized if (name, method) == ("tiny-llama-outlier", "rtn") else quantized
        other, other_error = llama_divergence(name, scheme, method, windows, file)
        allowed = 3 * math.hypot(own_error, other_error) + 0.0005
        details.append(f"{method} {own:.5f} and {other:.5f}")
        require(abs(own - other) <= allowed, f"{details[-1]} differ by more than {allowed:.5f}")
    return ", ".join(details)


def transformers_perplexity(folder, text, windows):
    """Perplexity in windows of 512 tokens, counting every position but the first, in F32 with sums in F64."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = tokenizer.encode(text.read_bytes().decode()).ids
    batches = torch.tensor(ids[: len(ids) // 512 * 512]).view(-1, 512)[:windows].split(4)
    model, total, count = load(folder), 0.0, 0
    for batch in batches:
        scores = torch.log_softmax(model(batch).logits[:, :-1], -1).gather(-1, batch[:, 1:, None])
        total, count = total - scores.double().sum().item(), count + scores.numel()
    return math.exp(total / count)


@check("perplexity of {} equals that of transformers", ["tiny-llama", "stories260k"], slow_cases=["tiny-llama-outlier"])
def perplexity_equals(name):
    folder = model_folder(name)
    own = evaluate(folder, "--text", EVALUATION_TEXT, "--context", 512, "--windows", WINDOWS)["perplexity"]
    other = transformers_perplexity(folder, EVALUATION_TEXT, WINDOWS)
    require(abs(own / other - 1) < 1e-5, f"{own:.5f} against {other:.5f}")
    return f"{own:.4f}"


FIGURES = [("tiny-llama", "prose-valid")]
LONG_FIGURES = [
    (name, text) for name in ("tiny-llama", "tiny-opt", "stories260k") for text in ("wikitext2-valid", "wikitext2-test", "prose-valid")]


@check("perplexity on a whole text equals the recorded one, {}", FIGURES, slow_cases=LONG_FIGURES)
def recorded_perplexity(case):
    name, text = case
    recorded = json.loads(shared("models/figures.json").read_text())["perplexity"][name][text]["ppl"]
    own = evaluate(shared(f"models/{name}"), "--text", shared(f"text/{text}.txt"), "--context", 512)["perplexity"]
    require(abs(own / recorded - 1) < 1e-5, f"{own:.4f} against {recorded}")
    return f"{own:.4f}"


@check("perplexity of {} in F16 is that of llama-perplexity within 0.2 %", MODELS)
def llama_perplexity_agrees(name):
    own = evaluate(
        reference(name), "--text", EVALUATION_TEXT, "--protocol", "llama.cpp", "--context", 512, "--windows", WINDOWS)["perplexity"]
    _, other = llama_base(name, WINDOWS)
    require(abs(own / other - 1) < 0.002, f"{own:.4f} against {other:.4f}")
    return f"{own:.4f} and {other:.4f}"
