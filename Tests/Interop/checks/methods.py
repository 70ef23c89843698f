"""Calibrated methods: GPTQ's codes are those of llm-compressor, and methods lose no more than other programs' do."""
import functools
import json

import safetensors.torch
import torch

from clients import WORK, convert, evaluate, shared
from models import load
from registry import Skip, check, require

MODEL = "models/tiny-llama"
GOLDEN = "golden/ct-gptq-w4a16"
LAYERS = [f"model.layers.0.self_attn.{name}_proj.weight" for name in "qkv"]
GROUP = 128


def converted(scheme, methods, *options, model=MODEL):
    """A model converted by a chain such as awq+gptq, on the calibration tokens of the golden checkpoints: 128 windows of 256."""
    return converted_once(scheme, methods, model, options)


@functools.cache
def converted_once(scheme, methods, model, options):
    folder = WORK / "-".join(("methods", model, scheme, methods, *options)).replace("/", "-").replace(":", "-")
    chain = [part for method in methods.split("+") for part in ("--plugin", method)]
    return convert(
        shared(model), folder, "--scheme", scheme, *chain, "--calibration", shared("text/calibration.txt"), "--samples", 128,
        "--context", 256, *options)


@functools.cache
def tensors(folder):
    return safetensors.torch.load_file(folder / "model.safetensors")


def codes(folder, layer):
    """The signed codes of a packed layer, `[out, in]`."""
    packed = tensors(folder)[layer + "_packed"]
    return torch.stack([(packed >> 4 * place & 15) - 8 for place in range(8)], -1).flatten(1)


def share(left, right):
    """The percentage of equal codes."""
    return (left == right).double().mean().item() * 100


@functools.cache
def gram(dtype):
    """2/n times the sum of x xᵀ over the inputs of q, k and v of the first block, in a model that runs in `dtype`."""
    source = tensors(shared(MODEL))
    ids = safetensors.torch.load_file(shared("golden/calibration-tokens.safetensors"))["input_ids"]
    hidden = source["model.embed_tokens.weight"][ids].float()
    hidden = hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + 1e-5)
    inputs = (source["model.layers.0.input_layernorm.weight"].to(dtype) * hidden.to(dtype)).flatten(0, 1).float()
    return 2 / len(ids) * inputs.T @ inputs


def feedback_codes(layer, dtype):
    """GPTQ by its definition, columns in order of decreasing activations, with the golden scales; inputs and values rounded to `dtype`."""
    weights, scales, matrix = tensors(shared(MODEL))[layer].float(), tensors(shared(GOLDEN))[layer + "_scale"], gram(dtype)
    order = torch.argsort(matrix.diagonal(), descending=True, stable=True)
    weights, matrix = weights[:, order], matrix[order][:, order]
    matrix.diagonal().add_(0.01 * matrix.diagonal().mean())
    upper = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(matrix)), upper=True)
    result = torch.empty_like(weights)
    for place, column in enumerate(order):
        scale = scales[:, column // GROUP]
        code = (weights[:, place] / scale.float()).clamp(-8, 7).round()
        error = (weights[:, place] - (code.to(dtype) * scale.to(dtype)).float()) / upper[place, place]
        weights[:, place + 1:] -= error[:, None] * upper[place, place + 1:]
        result[:, column] = code
    return result


@check("GPTQ's scales and codes of q, k and v in the first block are those of llm-compressor, {}", ["in F32", "in BF16"])
def first_block_equals(arithmetic):
    """llm-compressor ran the model in BF16 and took errors against values rounded to BF16. Done the same way, codes are equal
    to its codes; done in F32, they are equal to those of the same definition in F32."""
    # The pass alone, as published.
    method = "gptq:ranges=off,refine=0,rescale=off,correct=0"
    if arithmetic == "in F32":
        dtype, options = torch.float32, ("w4a16", method)
    else:
        dtype, options = torch.bfloat16, ("w4a16", method + ",values=bf16", "--products", "bf16")
        if "avx512_bf16" not in open("/proc/cpuinfo").read():
            raise Skip("needs a processor with AVX512_BF16")
    golden, own, details = shared(GOLDEN), converted(*options), []
    for layer in LAYERS:
        require(torch.equal(tensors(own)[layer + "_scale"], tensors(golden)[layer + "_scale"]), f"scales of {layer} differ")
        defined, theirs = share(codes(own, layer), feedback_codes(layer, dtype)), share(codes(own, layer), codes(golden, layer))
        details.append(f"{layer.split('.')[-2]} {theirs:.2f} %, {defined:.2f} % of the definition's")
        require(defined >= 99, details[-1])
        require(theirs >= (99 if dtype == torch.bfloat16 else 97), details[-1])
        if dtype == torch.bfloat16:
            require(share(codes(golden, layer), feedback_codes(layer, dtype)) >= 99.9, f"the BF16 definition is not theirs, {layer}")
    return ", ".join(details)


def theirs(run):
    """The mean KL divergence recorded for another program's run."""
    runs = json.loads(shared("golden/figures.json").read_text())["runs"]
    return next(entry["evaluation"]["kl_mean"] for entry in runs if entry["run"] == run)


OUTLIER = "models/tiny-llama-outlier"
# The best of the other programs with each recipe. FP8 has llm-compressor's bytes (folders.py, activations.py).
RUNS = [
    ("w4a16", "gptq", MODEL, "tl-llmc-gptq_w4a16"),
    ("int4-g128-asym", "gptq", MODEL, "tl-llmc-gptq_w4a16_asym"),
    ("int4-g128-asym", "awq", MODEL, "tl-gptqm-awq4"),
    ("w8a8", "smoothquant:alpha=0.8+gptq", MODEL, "tl-llmc-sq_gptq_w8a8"),
]
LONG_RUNS = RUNS + [
    ("w4a16", "awq", MODEL, "tl-autoawq-awq4"),
    ("w8a8", "smoothquant:alpha=0.8", MODEL, "tl-llmc-sq_rtn_w8a8"),
    ("w4a16", "gptq", OUTLIER, "to-llmc-gptq_w4a16"),
    ("int4-g128-asym", "gptq", OUTLIER, "to-llmc-gptq_w4a16_asym"),
    ("int4-g128-asym", "awq", OUTLIER, "to-llmc-awq_w4a16_asym"),
    ("w8a8", "smoothquant:alpha=0.8", OUTLIER, "to-llmc-sq_rtn_w8a8"),
    ("w8a8", "smoothquant:alpha=0.8+gptq", OUTLIER, "to-llmc-sq_gptq_w8a8"),
]


def lost(folder, model, windows, *options):
    """Mean KL divergence from the model and its standard error."""
    figures = evaluate(
        folder, "--reference", shared(model), "--text", shared("text/wikitext2-valid.txt"), "--context", 512, "--windows", windows,
        *options)
    return figures["kld.mean"], figures["kld.mean.stderr"]


@check(
    "a method loses at most 5 % more than another program's, {} windows", [(*run, 10) for run in RUNS],
    slow_cases=[(*run, 60) for run in LONG_RUNS])
def loses_no_more(case):
    """The others' figures are over 60 windows; fewer windows get twice their standard error as tolerance."""
    scheme, methods, model, run, windows = case
    simulated = ("--simulate", "file") if scheme == "w8a8" else ()
    mean, error = lost(converted(scheme, methods, model=model), model, windows, *simulated)
    limit = theirs(run) * 1.05 + (2 * error if windows < 60 else 0)
    detail = f"KL {mean:.5f} against {theirs(run):.5f}"
    require(mean <= limit, f"{detail}, allowed {limit:.5f}")
    return detail


@check(
    "AWQ and then GPTQ lose no more than either alone, {}", (),
    slow_cases=[(scheme, model) for scheme in ("w4a16", "int4-g128-asym") for model in (MODEL, OUTLIER)])
def chains_lose_no_more(case):
    scheme, model = case
    chain, error = lost(converted(scheme, "awq+gptq", model=model), model, 60)
    alone = {method: lost(converted(scheme, method, model=model), model, 60)[0] for method in ("awq", "gptq")}
    detail = f"KL {chain:.5f}, " + ", ".join(f"{method} {mean:.5f}" for method, mean in alone.items())
    require(chain <= min(alone.values()) + 2 * error, detail)
    return detail


def torch_sensitivities(model, ids):
    """For each linear layer of a model, `2·tr(H)` per channel and token. That of values has the inputs that each head makes of the weights
    that transformers' attention returns."""
    found, inputs = {}, {}

    def seen(name):
        def hook(_, arguments):
            inputs[name] = arguments[0]
        return hook

    layers = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and name.startswith("model.")}
    hooks = [module.register_forward_pre_hook(seen(name)) for name, module in layers.items()]
    for window in ids:
        weights = model(window[None], output_attentions=True).attentions
        for name in layers:
            read = inputs[name][0]
            if name.endswith("v_proj"):
                read = weights[int(name.split(".")[2])][0] @ read
            found[name] = found.get(name, 0) + 2 * read.double().square().mean().item() / len(ids)
    for hook in hooks:
        hook.remove()
    return found, {name: module.weight.numel() for name, module in layers.items()}


@check("aptq gives the wider type to the layers with the largest traces, {} of the weights", (), slow_cases=["0.5"])
@torch.no_grad()
def wider_layers_are_the_most_sensitive(share):
    folder = converted("to-order", f"aptq:share={share},scale=off,ranges=off,refine=0,rescale=off,correct=0")
    ids = safetensors.torch.load_file(shared("golden/calibration-tokens.safetensors"))["input_ids"]
    model = load(shared(MODEL), attn_implementation="eager")
    sensitivities, weights = torch_sensitivities(model, ids)
    groups = {}
    for name in sensitivities:
        block, layer = name.rsplit(".", 1)
        joint = "qkv" if layer[0] in "qkv" else "gate-up" if layer in ("gate_proj", "up_proj") else layer
        groups.setdefault((block, joint), []).append(name)

    def mean(names):
        return sum(weights[name] * sensitivities[name] for name in names) / sum(weights[name] for name in names)

    wide, sum_so_far, wanted = set(), 0, float(share) * sum(weights.values())
    for names in sorted(groups.values(), key=mean, reverse=True):
        count = sum(weights[name] for name in names)
        if abs(sum_so_far + count - wanted) >= abs(sum_so_far - wanted):
            break
        sum_so_far += count
        wide.update(names)
    made = {name for name in sensitivities if tensors(folder)[name + ".weight_packed"].shape[1] * 8 == layer_width(model, name)}
    require(made == wide, f"{len(made)} layers are wide, {len(wide)} owed; {sorted(made ^ wide)[:4]} differ")
    require(0.4 < sum_so_far / sum(weights.values()) < 0.6, "the share is another")
    loaded = load(folder)
    tokens = torch.tensor([[5 + 3 * i for i in range(64)]])
    original, rounded = (one(tokens).logits.log_softmax(-1) for one in (model, loaded))
    divergence = (original.exp() * (original - rounded)).sum(-1).mean().item()
    require(0 < divergence < 1, f"KL {divergence:.3f}: transformers loads another model")
    return f"{len(wide)} of {len(weights)} layers, KL {divergence:.3f}"


def layer_width(model, name):
    return model.get_submodule(name).in_features
