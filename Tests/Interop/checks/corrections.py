"""Corrections of what rounding lost: PEFT and llama.cpp load them beside the output, and compute what qconvert says."""
import functools

import bitsandbytes
import peft
import torch
import transformers

from checks.containers_bnb import dequantized
from checks.logits import deviation, own_logits
from checks.quality import llama_base, reference
from clients import WORK, convert, evaluate, figure, llama_figures
from models import EVALUATION_TEXT, TINY_LLAMA, load, vocabulary_size
from registry import check, require

WINDOWS = 4


@functools.cache
def corrected(scheme, *methods):
    """A folder with its adapter inside."""
    name = "-".join((scheme, *methods)).translate(str.maketrans(":=,", "---"))
    plugins = [word for method in methods for word in ("--plugin", method)]
    return convert(TINY_LLAMA, WORK / f"corrected-{name}", "--scheme", scheme, *plugins)


def logits(folder):
    """Random token ids, and the logits of a folder with its adapter by qconvert."""
    torch.manual_seed(3)
    ids = torch.randint(0, vocabulary_size(folder), (64,))
    ids_file = WORK / "corrected.ids"
    ids_file.write_text(" ".join(map(str, ids.tolist())))
    return ids[None], own_logits(folder, ids_file, "--lora", folder / "adapter")


@check(
    "{}: PEFT loads the folder's adapter and computes qconvert's logits", [("int4-channel", "rtn", "lorc")],
    slow_cases=[("w4a16", "gptq", "eora"), ("int4-channel", "rtn", "lqer:rank=4"), ("fp8-channel", "rtn", "lorc")])
def peft_agrees(case):
    folder = corrected(*case)
    ids, own = logits(folder)
    base = load(folder, quantization_config=transformers.CompressedTensorsConfig(run_compressed=False))
    plain = base(ids).logits[0]
    with_adapter = peft.PeftModel.from_pretrained(base, folder / "adapter").eval()(ids).logits[0]
    require(deviation(with_adapter.numpy().ravel(), plain) > 1e-2, "the adapter changes nothing")
    measured = deviation(own, with_adapter)
    require(measured < 1e-4, f"deviation {measured:.1e}")
    return f"{measured:.1e}"


@check("{}: PEFT loads the adapter on a model that bitsandbytes loads, and computes qconvert's logits", [], slow_cases=["lq-lora:rank=16"])
def bitsandbytes_agrees(method):
    folder = corrected("nf4", method)
    ids, own = logits(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, device_map="cpu").eval()
    layers = {name: module for name, module in model.named_modules() if isinstance(module, bitsandbytes.nn.Linear4bit)}
    # Running the model repacks its weights for the CPU.
    weights = {name + ".weight": dequantized(module) for name, module in layers.items()}
    weights |= {name: value.float() for name, value in model.state_dict().items() if not any(name.startswith(layer + ".") for layer in layers)}
    # The library's own products round their inputs.
    running = deviation(own, peft.PeftModel.from_pretrained(model, folder / "adapter").eval()(ids).logits[0].float())
    require(running < 0.1, f"deviation {running:.1e} from the model as it runs")
    plain = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(TINY_LLAMA), torch_dtype=torch.float32).eval()
    plain.load_state_dict(weights)
    exact = deviation(own, peft.PeftModel.from_pretrained(plain, folder / "adapter").eval()(ids).logits[0])
    require(exact < 1e-4, f"deviation {exact:.1e} from its weights in F32")
    return f"{exact:.1e} from its weights in F32, {running:.1e} from the model as it runs"


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
