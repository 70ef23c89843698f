"""Measures how fast texts become tokens, compared with Hugging Face's tokenizers with one thread, and writes a Markdown page."""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests" / "Interop"))
import tokenizers  # noqa: E402
from multilingual import SHARED, multilingual_text  # noqa: E402

KINDS = {
    "gpt2": "byte-level BPE", "cl100k": "byte-level BPE, GPT-4's pattern", "qwen2": "byte-level BPE, NFC", "deepseek": "byte-level BPE, three patterns",
    "mistral-7b": "SentencePiece BPE", "bert-uncased": "WordPiece", "t5-small": "unigram",
}
REPEATS = 4


def best(runs, measure):
    return min(measure() for _ in range(runs))


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def own_seconds(program, source, text, folder, runs):
    """The time of the program for several copies of the text, less the time for one byte: start-up and loading are left out."""
    long, short = folder / "long.txt", folder / "short.txt"
    long.write_bytes((text + "\n").encode() * REPEATS)
    short.write_bytes(b"a")

    def run(path):
        subprocess.run([program, "tokenize", source, "--text", path], check=True, stdout=subprocess.DEVNULL)

    return (best(runs, lambda: seconds(run, long)) - best(runs, lambda: seconds(run, short))) / REPEATS


def library_seconds(tokenizer, text, runs):
    """The better of two ways: the text as a whole, and line by line."""
    lines = text.split("\n")
    whole = best(runs, lambda: seconds(lambda: tokenizer.encode(text, add_special_tokens=False)))
    return min(whole, best(runs, lambda: seconds(lambda: tokenizer.encode_batch(lines, add_special_tokens=False))))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--page", default=str(ROOT / "Docs/benchmarks/tokenizers.md"))
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    program = os.environ.get("QCONVERT", str(ROOT / ".build/release/qconvert"))
    text = multilingual_text()
    megabytes = len(text.encode()) / 1e6
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, kind in KINDS.items():
            source = SHARED / "tokenizers" / name / "tokenizer.json"
            tokenizer = tokenizers.Tokenizer.from_file(str(source))
            tokenizer.no_truncation()
            tokenizer.no_padding()
            theirs = library_seconds(tokenizer, text, options.runs)
            own = own_seconds(program, source, text, folder, options.runs)
            rows.append(f"| `{name}` | {kind} | {megabytes / own:.2f} | {megabytes / theirs:.2f} | {theirs / own:.1f} |")
            print(rows[-1], flush=True)
    pathlib.Path(options.page).write_text(PAGE.format(rows="\n".join(rows), version=tokenizers.__version__))


PAGE = """# Tokenizers

Text to token ids, compared with Hugging Face's tokenizers {version} with one thread (`RAYON_NUM_THREADS=1`), on a multilingual text of
1 MB: English articles and strings of many scripts by turns. Made by `Tests/Benchmarks/tokenizers.sh`. The ids are equal (a check in
`Tests/Interop/checks/tokens.py`). The library's time is the better of two ways, the text as a whole and line by line; qconvert's is
that of `qconvert tokenize` for four copies of the text, printing included, less that for one letter.

| tokenizer | kind | qconvert, MB/s | tokenizers, MB/s | times as fast |
|---|---|---:|---:|---:|
{rows}

Both ran in turn on the same machine, which was shared: the ratios tell more than the speeds.
"""

if __name__ == "__main__":
    main()
