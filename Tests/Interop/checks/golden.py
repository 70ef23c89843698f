"""Whole checkpoints of other tools: qconvert reads them and gets the perplexity that was measured with their own libraries."""
import json

from clients import evaluate, shared
from registry import check, require

# Folder, and how inputs were rounded for the recorded figures.
WHOLE = {
    "gptqmodel-gptq4": (), "ct-gptq-w4a16": (), "autoawq-w4": (),
    "ct-fp8-dynamic": ("--simulate", "file"), "ct-sq-gptq-w8a8": ("--simulate", "file"),
}


@check("eval of {} gives the recorded perplexity", WHOLE)
def perplexity(name):
    runs = json.loads(shared("golden/figures.json").read_text())["runs"]
    expected = next(run["evaluation"]["ppl"] for run in runs if run["folder"] == name)
    figures = evaluate(
        shared(f"golden/{name}"), "--tokenizer", shared("models/tiny-llama"), "--text", shared("text/wikitext2-valid.txt"),
        "--context", 512, "--windows", 60, "--bos", "off", *WHOLE[name])
    detail = f"{figures['perplexity']:.4f} and {expected:.4f}"
    require(abs(figures["perplexity"] / expected - 1) < 1e-3, detail)
    return detail
