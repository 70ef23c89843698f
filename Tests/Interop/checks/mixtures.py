"""Mixtures and hybrids rounded by calibrated methods: their folders load in transformers, which gives qconvert's logits."""
import json

import torch

from checks.logits import deviation, ids_file, own_logits
from clients import WORK, convert
from models import EVALUATION_TEXT, random_ids, random_model, transformers_logits
from registry import check, require

# The latents of DeepSeek's queries have 48 channels.
SCHEMES = {"qwen3-moe": "int4-g32", "qwen3-next": "int4-g32", "deepseek-v3": "int8-channel"}


@check("{} in transformers gives qconvert's logits", [
    ("gptq", "qwen3-moe"), ("awq", "qwen3-next")], slow_cases=[(method, model) for method in ("gptq", "awq") for model in SCHEMES])
def loads(case):
    method, model = case
    folder = convert(
        random_model(model), WORK / f"{model}.{method}", "--scheme", SCHEMES[model], "--plugin", method, "--calibration", EVALUATION_TEXT,
        "--context", 128, "--samples", 8, "--force")
    stated = json.loads((folder / "config.json").read_text())["quantization_config"]
    expected = transformers_logits(folder, random_ids(model), widens=True)
    measured = deviation(own_logits(folder, ids_file(model)), expected)
    require(measured < 1e-4, f"deviation {measured:.1e}")
    changed = deviation(transformers_logits(random_model(model), random_ids(model)).numpy().ravel(), torch.as_tensor(expected))
    require(changed > 1e-3, "nothing was rounded")
    return f"{measured:.1e}, {len(stated['ignore'])} layers unquantized"
