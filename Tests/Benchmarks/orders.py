"""Sums tr(ΔW·H·ΔWᵀ) over the layers of tiny-llama for GPTQ's column orders, in double precision. Called by orders.sh."""
import shutil
import sys

import gguf
import numpy
from safetensors.numpy import load_file

from clients import WORK, convert, qconvert, shared

MODEL = shared("models/tiny-llama")
SCHEMES = "int4-g128 int4-g128-asym int4-g32 int8-channel q4_0 q4_1 q5_0 q5_1 q4_k q5_k q6_k q8_0".split()
# Title, order, importance.
COLUMNS = [
    ("static, importance", "static", "on"), ("static", "static", "off"), ("block, importance", "block", "on"), ("block", "block", "off")]
SITES = {
    "attention.input": ["attn_q", "attn_k", "attn_v"], "attention.output": ["attn_output"],
    "feed-forward.input": ["ffn_gate", "ffn_up"], "feed-forward.output": ["ffn_down"],
}


def matrices(file):
    """The values of a GGUF in F32, `[out, in]`, by name."""
    return {tensor.name: tensor.data.astype(float) for tensor in gguf.GGUFReader(file).tensors}


def grams(statistics):
    """Gram matrices with a mean diagonal of 1, by block and site."""
    return {
        name.removesuffix(".gram"): gram.astype(float) / gram.diagonal().astype(float).mean()
        for name, gram in load_file(statistics).items() if name.endswith(".gram")}


def rounded(scheme, order, importance, statistics):
    is_block = scheme.startswith("q")
    target, values = WORK / ("rounded.gguf" if is_block else "rounded"), WORK / "values.gguf"
    method = f"gptq:order={order},importance={importance},ranges=off,refine=0,rescale=off"
    convert(
        MODEL, target, "--scheme", scheme, *(["--pure"] if is_block else []), "--plugin", method, "--stats", statistics,
        "--propagate", "original", "--force")
    return matrices(convert(target, values, "--scheme", "f32", "--allow-requantize", "--force"))


def output_error(values, original, sites):
    total = 0.0
    for block_and_site, gram in sites.items():
        _, block, site = block_and_site.split(".", 2)
        for layer in SITES[site]:
            name = f"blk.{block}.{layer}.weight"
            delta = values[name] - original[name]
            total += float(numpy.einsum("ij,ij->", delta @ gram, delta))
    return total


def main():
    statistics = WORK / "tiny-llama.stats"
    qconvert(
        "calibrate", MODEL, statistics, "--calibration", shared("text/calibration.txt"), "--samples", 64, "--context", 256,
        "--for", "gptq")
    sites, original = grams(statistics), matrices(convert(MODEL, WORK / "plain.gguf", "--scheme", "f32"))
    print("| scheme | " + " | ".join(title for title, _, _ in COLUMNS) + " |\n|---|" + "---:|" * len(COLUMNS))
    for scheme in sys.argv[1:] or SCHEMES:
        # Integer schemes are fitted without importance.
        columns = [column for column in COLUMNS if scheme.startswith("q") or column[2] == "off"]
        found = {
            title: output_error(rounded(scheme, order, importance, statistics), original, sites)
            for title, order, importance in columns}
        cells = [f"{found[title]:.4g}" if title in found else "" for title, _, _ in COLUMNS]
        best = f"{min(found.values()):.4g}"
        print(f"| `{scheme}` | " + " | ".join(f"**{cell}**" if cell == best else cell for cell in cells) + " |", flush=True)
    shutil.rmtree(WORK)


main()
