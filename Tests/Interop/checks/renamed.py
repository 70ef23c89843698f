"""Quantized folders of classes whose modules transformers 5 names otherwise than their checkpoints: towers, routers, experts."""
import functools
import json
import subprocess

import numpy
from safetensors.torch import load_file, save_file

from checks.logits import own_logits
from clients import GPTQMODEL, QCONVERT, TRANSFORMERS5, WORK, convert
from registry import check, require

TOWERS = ["llava", "gemma3", "mistral3", "qwen2.5-vl"]
MIXTURES = ["mixtral", "phimoe", "qwen2-moe", "qwen3-moe"]
IDS = [(7 * index * index + 3 * index + 11) % 490 for index in range(24)]


@functools.cache
def written(name):
    """A model as w4a16."""
    folder = WORK / f"renamed-{name}"
    TRANSFORMERS5.ask("make", name=name, out=folder)
    return convert(folder, WORK / f"renamed-{name}-w4a16")


def logits(name, folder, **options):
    out = WORK / f"renamed-{name}.f32"
    lost = TRANSFORMERS5.ask("logits", name=name, folder=folder, ids=IDS, out=out, **options)
    require(not lost, f"missing or left over: {lost[:4]}")
    return numpy.fromfile(out, "<f4")


def deviation(measured, expected):
    return float(numpy.abs(measured - expected).max() / numpy.abs(expected).max())


@check("w4a16 folder of {} in transformers 5 gives qconvert's logits", (), slow_cases=TOWERS + MIXTURES)
def loads(name):
    folder = written(name)
    decoded = convert(folder, WORK / f"renamed-{name}-f32", "--scheme", "f32")
    # The same weights, without codes: nothing is lost, and nothing else is rounded.
    different = deviation(logits(name, folder), logits(name, decoded, has_short_experts=True))
    require(different == 0, f"deviation {different:.1e} from the weights that the codes mean")
    ids = WORK / "renamed.ids"
    ids.write_text(" ".join(map(str, IDS)))
    own = deviation(own_logits(folder, ids), logits(name, decoded))
    require(own < 1e-4, f"deviation {own:.1e} of qconvert's logits")
    return f"{own:.1e}, ignore {json.loads((folder / 'config.json').read_text())['quantization_config']['ignore']}"


@check("w4a16 folder of {}, whose stacked experts become codes one by one, in transformers 5 gives qconvert's logits", (),
       slow_cases=["llama4"])
def separated(name):
    folder, ids = written(name), WORK / "renamed.ids"
    ids.write_text(" ".join(map(str, IDS)))
    own = deviation(own_logits(folder, ids), logits(name, folder))
    require(own < 1e-4, f"deviation {own:.1e} of qconvert's logits")
    return f"{own:.1e}"


CLASSES = {"gemma3": "Gemma3ForConditionalGeneration"}
MIXED = {"llava": "language_model.model.layers.0.mlp.down_proj.weight", "gemma3": "language_model.model.layers.0.mlp.down_proj.weight",
         "mixtral": "re:.*experts.*"}


@check("w4a16 folder of {} in which some layers have 8 bits gives in transformers 5 the logits of its weights", (), slow_cases=list(MIXED))
def mixed(name):
    written(name)
    folder = convert(WORK / f"renamed-{name}", WORK / f"mixed-{name}", "--scheme", "w4a16", "--tensor", f"{MIXED[name]}=int8-g128")
    decoded = convert(folder, WORK / f"mixed-{name}-f32", "--scheme", "f32")
    different = deviation(logits(name, folder), logits(name, decoded, has_short_experts=True))
    require(different == 0, f"deviation {different:.1e} from the weights that the codes mean")
    groups = json.loads((folder / "config.json").read_text())["quantization_config"]["config_groups"]
    return f"targets {[group['targets'] for group in groups.values()]}"


@check("AWQ folder of {}, of which one layer is kept, in transformers 5 has every tensor that its class looks for", (), slow_cases=["gemma3"])
def kept(name):
    written(name)
    folder = convert(
        WORK / f"renamed-{name}", WORK / f"kept-{name}", "--scheme", "int4-g128-asym", "--packing", "awq", "--keep", MIXED[name])
    lost = GPTQMODEL.ask("lost", kind=CLASSES[name], folder=folder)
    require(not lost, f"missing or left over: {lost[:4]}")


# Whether transformers 5 decodes the experts of a mixture, by scheme and packing.
EXPERTS = {
    "w4a16": True, "w8a16": True, "mxfp4a16": True, "fp8": True, "fp8-block --packing fp8-block": True,
    "w8a8": False, "fp8-block": False, "mxfp8a16": False, "nvfp4a16": False, "int4-g128-asym": False,
}


@check("experts of mixtral as {} are decoded by transformers 5, or the conversion says that they are not", (), slow_cases=list(EXPERTS))
def experts(scheme):
    written("mixtral")
    out = WORK / f"experts-{scheme.split()[0]}-{len(scheme)}"
    command = [QCONVERT, WORK / "renamed-mixtral", out, "--scheme", *scheme.split()]
    said = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stderr
    require(("transformers 5" in said) != EXPERTS[scheme], f"the conversion said: {said[:200]}")
    decoded = convert(out, f"{out}-f32", "--scheme", "f32")
    try:
        # Layers with codes of 4 bits compute in the type of their scales.
        different = deviation(logits("mixtral", out, is_short=True), logits("mixtral", decoded, is_short=True))
    except RuntimeError as error:
        require(not EXPERTS[scheme], f"it does not load: {error}")
        return "does not load"
    # FP8 rounds inputs too, which sends some tokens to other experts.
    require((different < 0.5) == EXPERTS[scheme], f"deviation {different:.1e}")
    return f"{different:.1e}"


@check("w4a16 folder of {} in transformers 5 loads as the warning says, and not otherwise", (), slow_cases=["falcon"])
def warned(name):
    folder = written(name)
    try:
        logits(name, folder)
    except RuntimeError as error:
        require("has no attribute 'weight'" in str(error), str(error))
    else:
        require(False, "it loads: the warning is out of date")
    decoded = convert(folder, WORK / f"renamed-{name}-f32", "--scheme", "f32")
    different = deviation(logits(name, folder, dequantizes=True), logits(name, decoded))
    require(different < 2e-2, f"deviation {different:.1e}")
    return f"{different:.1e}"


@check("a gemma3 folder whose two objects disagree about tied embeddings gives transformers 5's logits ({})", (),
       slow_cases=["tied outside", "tied inside", "said by nobody"])
def disagreeing(case):
    folder, ids = WORK / f"ties-{case.replace(' ', '-')}", WORK / "renamed.ids"
    ids.write_text(" ".join(map(str, IDS)))
    TRANSFORMERS5.ask("make", name="gemma3", out=folder)
    config = json.loads((folder / "config.json").read_text())
    for part, where in ((config, "outside"), (config["text_config"], "inside")):
        part.pop("tie_word_embeddings", None)
        if case != "said by nobody":
            part["tie_word_embeddings"] = where in case
    (folder / "config.json").write_text(json.dumps(config))
    own = deviation(own_logits(folder, ids), logits("gemma3", folder))
    require(own < 1e-4, f"deviation {own:.1e} with an output matrix")
    if case == "tied inside":
        return f"{own:.1e}"
    weights = {name: tensor for name, tensor in load_file(folder / "model.safetensors").items() if not name.endswith("lm_head.weight")}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    without = deviation(own_logits(folder, ids), logits("gemma3", folder))
    require(without < 1e-4, f"deviation {without:.1e} without one")
    return f"{own:.1e}, without an output matrix {without:.1e}"
