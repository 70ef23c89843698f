#!/usr/bin/env python3
"""The calibrators of stored scales beside scales of tokens, as the Markdown tables of Docs/schemes.md.
  ranges.py PROGRAM [MODEL...]
Mean KL divergence of tiny-llama and tiny-llama-outlier from themselves with exact activations: 20 windows of 512 tokens of
wikitext2-valid, weights as stored. Needs ../shared."""
import json
import pathlib
import subprocess
import sys
import tempfile

SHARED = pathlib.Path(__file__).resolve().parents[2].parent / "shared"
CALIBRATORS = ["minmax", "average:0.9", "average:0.99", "percentile:99.9", "percentile:99.99", "entropy", "mse"]
# What is rounded with stored scales, by each calibrator, and the scheme of the same type with a scale for each token, found while the
# model runs.
ROWS = [
    ("int8-tensor", "int8-token"), ("fp8-tensor", "fp8-token"), ("kv=fp8-tensor", "kv=fp8-token"), ("kv=int8-tensor", "kv=int8-token"),
    ("kv=int4-tensor", "kv=int4-token"), ("kv=int8-channel", None), ("kv=int4-channel", None),
    ("keys=int4-channel,values=int4-token", None), ("unrotated-keys=int4-channel,values=int4-token", None),
]
# The first part of the text: ranges need no more.
CALIBRATION_BYTES = 100_000


def divergence(program, model, text, scheme, calibrator=None):
    command = [
        program, "eval", SHARED / "models" / model, "--reference", SHARED / "models" / model, "--text", SHARED / "text/wikitext2-valid.txt",
        "--windows", "20", "--bos", "off", "--simulate", scheme, "--json", "--quiet"]
    if calibrator:
        command += ["--calibrator", calibrator, "--calibration", text]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"ranges: {scheme}, {calibrator}: {result.stderr}")
    return json.loads(result.stdout)["kld.mean"]


def main(program, models):
    with tempfile.NamedTemporaryFile(suffix=".txt") as text:
        text.write((SHARED / "text/calibration.txt").read_bytes()[:CALIBRATION_BYTES].decode(errors="ignore").encode())
        text.flush()
        for model in models:
            print(f"\n{model}:\n\n| `--simulate` | " + " | ".join(f"`{name}`" for name in CALIBRATORS) + " | each token |")
            print("|---|" + "---|" * (len(CALIBRATORS) + 1))
            for stored, dynamic in ROWS:
                found = [divergence(program, model, text.name, stored, calibrator) for calibrator in CALIBRATORS]
                cells = [f"**{figure:.3g}**" if figure == min(found) else f"{figure:.3g}" for figure in found]
                cells.append(f"{divergence(program, model, text.name, dynamic):.3g}" if dynamic else "")
                print(f"| `{stored}` | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or ["tiny-llama", "tiny-llama-outlier"])
