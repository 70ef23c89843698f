"""Measures folders written without calibration against llm-compressor and prints a Markdown page. Called by folders.sh."""
import argparse
import os
import pathlib
import shutil
import sys
import tempfile

import processes

HERE = pathlib.Path(__file__).resolve().parent
TOKENIZER = HERE.parents[2] / "shared" / "tokenizers" / "mistral-7b"
QCONVERT = os.environ["QCONVERT"]

# Our name and llm-compressor's name.
SCHEMES = [
    ("w4a16", "W4A16"), ("w4a16-asym", "W4A16_ASYM"), ("w8a8", "INT8"), ("fp8", "FP8_DYNAMIC"), ("fp8-block", "FP8_BLOCK"),
    ("nvfp4a16", "NVFP4A16"), ("mxfp4a16", "MXFP4A16"), ("mxfp8a16", "MXFP8A16"),
]
# Names that are not presets.
OPTIONS = {"w4a16-asym": ["--scheme", "int4-g128-asym"]}

# One tensor of more than 4 GB and small ones.
LARGE = ["--hidden", 65536, "--vocabulary", 32768, "--heads", 1, "--key-value-heads", 1, "--head-size", 64, "--ffn", 64,
         "--layers", 1, "--tied"]
# Folders keep embeddings in 16 bits.
LARGE_WORKS = [("folder, f16", "folder", ["--scheme", "f16"])] + [
    (f"GGUF, {scheme}", "model.gguf", ["--scheme", scheme]) for scheme in ("q8_0", "q4_0", "q4_k_m")]


def qconvert(model, out, *options):
    return [QCONVERT, model, out, "--plugin", "rtn", "--force", "--quiet", *options]


def peer(model, out, scheme):
    python = os.environ.get("LLMCOMPRESSOR_PYTHON")
    program = ("import sys; from llmcompressor import model_free_ptq; "
               "model_free_ptq(sys.argv[1], sys.argv[2], scheme=sys.argv[3], "
               "ignore=['lm_head', 'model.embed_tokens'], max_workers=2, device='cpu')")
    return python and [python, "-c", program, model, out, scheme]


def beside(model, work, runs, wanted):
    print("| scheme | qconvert CPU s | llm-compressor CPU s | ratio | qconvert wall s | llm-compressor wall s | "
          "qconvert anonymous MiB | llm-compressor anonymous MiB |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, their_name in SCHEMES:
        if wanted and name not in wanted:
            continue
        own, others = [], []
        for _ in range(runs):
            own.append(processes.run([qconvert(model, work / "own", *OPTIONS.get(name, ["--scheme", name]))]))
            command = peer(model, work / "other", their_name)
            if command:
                others.append(processes.run([command]))
                shutil.rmtree(work / "other", ignore_errors=True)
        own, other = processes.medians(own), processes.medians(others)
        if own is None:
            sys.exit(f"benchmark: {name} failed")
        theirs = (f"{other.cpu:.1f}", f"{other.cpu / own.cpu:.0f}", f"{other.wall:.1f}", f"{other.anonymous:.0f}") if other else ("–",) * 4
        print(f"| {name} | {own.cpu:.2f} | {theirs[0]} | {theirs[1]} | {own.wall:.2f} | {theirs[2]} | {own.anonymous:.0f} "
              f"| {theirs[3]} |", flush=True)


def large(work, wanted):
    model = work / "large"
    count = processes.make_model(model, TOKENIZER, *LARGE)
    size = (model / "model.safetensors").stat().st_size
    print(f"\nA model whose embedding alone has {65536 * 32768 * 2 / 1e9:.1f} of its {size / 1e9:.1f} GB ({count / 1e9:.1f} billion "
          "parameters), one run each:\n")
    print("| output | anonymous MiB | CPU s | wall s |\n|---|---:|---:|---:|")
    worst = 0.0
    for name, out, options in LARGE_WORKS:
        if wanted and not any(word in name for word in wanted):
            continue
        use = processes.run([qconvert(model, work / out, *options)])
        if use is None:
            sys.exit(f"benchmark: {name} failed")
        print(f"| {name} | {use.anonymous:.0f} | {use.cpu:.1f} | {use.wall:.1f} |", flush=True)
        worst = max(worst, use.anonymous)
    if worst >= 200:
        sys.exit("benchmark: more than 200 MiB of anonymous memory")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=[])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    parts = arguments.parts or ["beside", "large"]
    if not TOKENIZER.exists():
        sys.exit("benchmark: needs ../shared/tokenizers/mistral-7b, which is missing")
    work = pathlib.Path(tempfile.mkdtemp(prefix="qconvert-benchmark-"))
    try:
        if "beside" in parts:
            count = processes.make_model(work / "model", TOKENIZER, "--ffn", 3328)
            print(f"Llama with random weights, {count / 1e6:.0f} million parameters, BF16. {processes.machine()}.")
            print(f"Medians of {arguments.runs} alternating runs of whole processes; CPU is user + system time; anonymous is the peak "
                  f"of RssAnon, sampled every {processes.INTERVAL * 1000:.0f} ms.\n")
            beside(work / "model", work, arguments.runs, arguments.only)
            shutil.rmtree(work / "model")
        if "large" in parts:
            large(work, arguments.only)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
