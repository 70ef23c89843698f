"""Quantized folders of classes whose modules transformers 5 names otherwise than their checkpoints: towers, routers, experts."""
import functools
import json

import numpy
from safetensors.torch import load_file, save_file

from checks.logits import own_logits
from clients import TRANSFORMERS5, WORK, convert
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
