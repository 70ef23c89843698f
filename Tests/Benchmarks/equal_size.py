"""Tables of the quality lost by files of equal size in llama.cpp. Called by equal-size.sh; the files are those of Tests/Interop."""
import os
import pathlib
import shutil
import sys

from checks.equal_size import TEXTS, divergence, own, theirs
from clients import WORK

WINDOWS = int(sys.argv[1]) if len(sys.argv) > 1 else 60
MODELS = os.environ.get("MODELS", "tiny-llama tiny-llama-outlier").split()
SCHEMES = os.environ.get("SCHEMES", "q4_0 q4_k q4_k_m q3_k_m iq3_m").split()
METHODS = os.environ.get("METHODS", "gptq awq+gptq").split()


def rows(model, scheme):
    """One row per text. The cells of methods also give their share of llama-quantize's loss."""
    for text in TEXTS:
        def lost(file):
            return divergence(file, model, text, WINDOWS)[0]

        other = lost(theirs(model, scheme))
        cells = [f"{other:.5f}"]
        for method in METHODS:
            mine = lost(own(model, scheme, method))
            cells.append(f"{mine:.5f} ({mine / other:.2f})")
        print(f"| {pathlib.Path(model).stem} | `{scheme}` | {text} | " + " | ".join(cells) + " |", flush=True)


print("| model | scheme | text | llama-quantize | " + " | ".join(f"`{method}`" for method in METHODS) + " |")
print("|---|---|---|" + "---:|" * (len(METHODS) + 1))
try:
    for scheme in SCHEMES:
        for model in MODELS:
            rows(model, scheme)
finally:
    shutil.rmtree(WORK, ignore_errors=True)
