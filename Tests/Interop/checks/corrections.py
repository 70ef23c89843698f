"""Corrections of what rounding lost: PEFT and llama.cpp load them beside the output, and compute what qconvert says."""
import functools

import peft
import torch
from transformers import CompressedTensorsConfig

from checks.logits import deviation, own_logits
from checks.quality import llama_base, reference
from clients import WORK, convert, evaluate, figure, llama_figures
from models import EVALUATION_TEXT, TINY_LLAMA, load, vocabulary_size
from registry import check, require

WINDOWS = 8


@functools.cache
def corrected(scheme, *methods):
    """A folder with its adapter inside."""
    name = "-".join((scheme, *methods)).translate(str.maketrans(":=,", "---"))
    plugins = [word for method in methods for word in ("--plugin", method)]
    return convert(TINY_LLAMA, WORK / f"corrected-{name}", "--scheme", scheme, *plugins)


@check(
    "{}: PEFT loads the folder's adapter and computes qconvert's logits", [("int3-channel", "rtn", "lorc")],
    slow_cases=[("w4a16", "gptq", "eora"), ("int4-channel", "rtn", "lqer:rank=4"), ("fp8", "rtn", "lorc"), ("int8-channel", "rtn", "lorc")])
def peft_agrees(case):
    folder = corrected(*case)
    torch.manual_seed(3)
    ids = torch.randint(0, vocabulary_size(folder), (64,)).tolist()
    ids_file = WORK / "corrected.ids"
    ids_file.write_text(" ".join(map(str, ids)))
    base = load(folder, quantization_config=CompressedTensorsConfig(run_compressed=False))
    plain = base(torch.tensor([ids])).logits[0]
    with_adapter = peft.PeftModel.from_pretrained(base, folder / "adapter").eval()(torch.tensor([ids])).logits[0]
    require(deviation(with_adapter.numpy().ravel(), plain) > 1e-2, "the adapter changes nothing")
    measured = deviation(own_logits(folder, ids_file, "--lora", folder / "adapter"), with_adapter)
    require(measured < 1e-4, f"deviation {measured:.1e}")
    return f"{measured:.1e}"


@check(
    "{}: llama-perplexity finds qconvert's divergence with the adapter beside the file", [("q4_0", "lorc")],
    slow_cases=[("q4_0", "lorc:rank=32,bits=8"), ("q3_k", "eora:rank=32"), ("q4_k_m", "lqer")])
def llama_agrees(case):
    scheme, method = case
    file = convert(TINY_LLAMA, WORK / f"corrected-{len(list(WORK.iterdir()))}.gguf", "--scheme", scheme, "--plugin", method)
    adapter = file.with_suffix(".lora.gguf")
    base, _ = llama_base("tiny-llama", WINDOWS)

    def theirs(*options):
        output = llama_figures(file, EVALUATION_TEXT, WINDOWS, "--kl-divergence-base", base, "--kl-divergence", *options)
        return figure(output, "Mean KLD")

    plain, (divergence, error) = theirs()[0], theirs("--lora", adapter)
    figures = evaluate(
        file, "--lora", adapter, "--reference", reference("tiny-llama"), "--text", EVALUATION_TEXT, "--protocol", "llama.cpp", "--context",
        512, "--windows", WINDOWS, "--simulate", "llama.cpp")
    detail = f"{divergence:.5f} by llama.cpp, {figures['kld.mean']:.5f} by qconvert, {plain:.5f} without the adapter"
    require(divergence < 0.97 * plain, detail)
    require(abs(divergence / figures["kld.mean"] - 1) < 0.02, detail)
    return detail
