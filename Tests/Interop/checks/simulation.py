"""Simulated rounding of activations against the programs that round them, and the quality that SmoothQuant saves."""
import json
import math

import numpy
from safetensors.torch import load_file, save_file

from checks.logits import own_logits
from checks.quality import model_folder, quantized, reference
from clients import WORK, convert, evaluate, figure, llama, llama_figures, qconvert, shared
from models import EVALUATION_TEXT, TINY_LLAMA, transformers_logits
from registry import check, require

WINDOWS = 12


def one_block():
    """tiny-llama with only its first block. Rounding amplifies differences in the order of sums from block to block."""
    folder, source = WORK / "one-block", shared("models/tiny-llama")
    if not folder.exists():
        folder.mkdir()
        for file in source.iterdir():
            if file.suffix == ".json" and "index" not in file.name:
                (folder / file.name).write_bytes(file.read_bytes())
        config = json.loads((source / "config.json").read_text()) | {"num_hidden_layers": 1}
        (folder / "config.json").write_text(json.dumps(config))
        tensors = load_file(source / "model.safetensors")
        kept = {name: t for name, t in tensors.items() if not name.startswith("model.layers.") or ".layers.0." in name}
        save_file(kept, folder / "model.safetensors", {"format": "pt"})
    return folder


@check("simulated rounding of {} is that of llama.cpp", ["q4_k_m", "q8_0", "bf16"], slow_cases=["q4_0", "q6_k", "f16"])
def llama_rounds_so(scheme):
    model = convert(one_block(), WORK / f"one-block.{scheme}.gguf", "--scheme", scheme, "--force")
    ids, out = WORK / "one-block.ids", WORK / "one-block.f32"
    ids.write_text(" ".join(str(5 + 3 * i) for i in range(128)))
    llama("llama-logits", model, ids, out)
    expected = numpy.fromfile(out, "<f4")
    exact = own_logits(model, ids)
    qconvert("logits", model, out, "--ids", ids, "--force", "--simulate", "llama.cpp")
    simulated = numpy.fromfile(out, "<f4")
    far, near = (float(numpy.sqrt(((measured - expected) ** 2).mean()) / abs(expected).max()) for measured in (exact, simulated))
    require(near < far / 3, f"deviation {near:.1e} with rounding, {far:.1e} without")
    return f"deviation {near:.1e}, without rounding {far:.1e}"


@check("the loss from outliers in llama.cpp is the simulated one, {}", ["q8_0", "q4_k_m"])
def outliers_lose_so(scheme):
    base = WORK / "outlier.base"
    name = "tiny-llama-outlier"
    llama_figures(reference(name), EVALUATION_TEXT, WINDOWS, "--kl-divergence-base", base)
    output = llama_figures(
        quantized(name, scheme, "rtn"), EVALUATION_TEXT, WINDOWS, "--kl-divergence-base", base, "--kl-divergence")
    expected, error = figure(output, "Mean KLD")
    measured = {}
    for options in ((), ("--simulate", "llama.cpp")):
        figures = evaluate(
            quantized(name, scheme, "rtn"), "--reference", reference(name), "--text", EVALUATION_TEXT, "--protocol", "llama.cpp",
            "--context", 512, "--windows", WINDOWS, *options)
        measured[bool(options)] = (figures["kld.mean"], figures["kld.mean.stderr"])
    allowed = 3 * math.hypot(error, measured[True][1])
    detail = f"KL {measured[True][0]:.4f} and {expected:.4f}; with exact activations {measured[False][0]:.4f}"
    require(abs(measured[True][0] - expected) <= allowed, f"{detail}; allowed {allowed:.4f}")
    require(abs(measured[False][0] - expected) > allowed, f"{detail}: rounding makes no difference")
    return detail


# Runs of llm-compressor that transformers evaluated with llm-compressor's rounding of activations.
GOLDEN = {"w8a8": "tl-llmc-rtn_w8a8", "fp8": "tl-llmc-fp8_dynamic", "fp8-block": "tl-llmc-fp8_block"}


@check("--simulate {} loses what llm-compressor's checkpoint loses in transformers", ["fp8", "w8a8"], slow_cases=list(GOLDEN))
def golden_figures(preset):
    runs = json.loads(shared("golden/figures.json").read_text())["runs"]
    expected = next(run for run in runs if run["run"] == GOLDEN[preset])["evaluation"]
    model = model_folder("tiny-llama")
    figures = evaluate(
        model, "--reference", model, "--text", shared("text/wikitext2-valid.txt"), "--windows", 60, "--bos", "off", "--simulate", preset)
    detail = f"KL {figures['kld.mean']:.5f} and {expected['kl_mean']:.5f}, perplexity {figures['perplexity']:.3f} and {expected['ppl']:.3f}"
    require(abs(figures["kld.mean"] / expected["kl_mean"] - 1) < 0.05, detail)
    return detail


@check("rotate: {} computes the same with a rotated model", ["transformers", "llama.cpp"])
def rotation_changes_nothing(client):
    models = []
    for method in ("rtn", "rotate"):
        target = WORK / (f"turned-{method}" + ("" if client == "transformers" else ".gguf"))
        models.append(convert(TINY_LLAMA, target, "--scheme", "f32", "--plugin", method, "--force"))
    tokens = [5 + 3 * i for i in range(96)]
    if client == "transformers":
        weights = [load_file(model / "model.safetensors")["model.layers.0.mlp.down_proj.weight"] for model in models]
        require(float(abs(weights[0] - weights[1]).max()) > 0.01, "nothing is rotated")
        plain, rotated = (transformers_logits(model, tokens).detach().numpy().ravel() for model in models)
    else:
        ids, out = WORK / "turned.ids", WORK / "turned.f32"
        ids.write_text(" ".join(map(str, tokens)))
        results = []
        for model in models:
            llama("llama-logits", model, ids, out)
            results.append(numpy.fromfile(out, "<f4"))
        plain, rotated = results
    measured = float(abs(plain - rotated).max() / abs(plain).max())
    require(0 < measured < 1e-5, f"deviation {measured:.1e}")
    return f"deviation {measured:.1e}"


@check("SmoothQuant saves tiny-llama-outlier in 8 bits, {}", ["w8a8"], slow_cases=["w8a8-static"])
def smoothing_saves(preset):
    source = shared("models/tiny-llama-outlier")
    calibration = shared("text/calibration.txt")
    smoothed = convert(
        source, WORK / "smoothed", "--scheme", "f32", "--tensor", "*norm.weight=f32", "--plugin", "smoothquant",
        "--calibration", calibration, "--force")

    def ratio(model, *options):
        figures = evaluate(model, "--reference", source, "--text", EVALUATION_TEXT, "--windows", WINDOWS, *options)
        return figures["perplexity"] / figures["perplexity.reference"], figures["kld.max"]

    options = ("--simulate", preset) + (("--calibration", calibration) if preset == "w8a8-static" else ())
    plain, _ = ratio(source, *options)
    saved, _ = ratio(smoothed, *options)
    _, changed = ratio(smoothed)
    detail = f"perplexity x {saved:.4f}, without x {plain:.4f}; unrounded, KL at most {changed:.0e}"
    require(plain > 1.2 and saved < 1.01 and changed < 1e-6, detail)
    return detail
