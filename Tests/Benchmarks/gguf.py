"""Measures GGUF files against llama.cpp's tools and makes a Markdown page and a plot. Called by gguf.sh.

Figures are stored in a file as they come, and those that the file contains are not measured again.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import plot
import processes

HERE = pathlib.Path(__file__).resolve().parent
TOKENIZER = HERE.parents[2] / "shared" / "tokenizers" / "mistral-7b"
CLIENTS, QCONVERT = pathlib.Path(os.environ["CLIENTS"]), os.environ["QCONVERT"]
MODELS = {
    "100m": ["--layers", 9],
    "1b": ["--hidden", 2048, "--layers", 22, "--heads", 32, "--key-value-heads", 4, "--ffn", 5632],
}
# Threads, and whether the source is read from disk.
SETTINGS = [(2, False), (1, False), (2, True)]
# Types that are measured in every way. The larger model's other types are measured only in the first way, without the converter.
THOROUGH = ("q8_0", "q4_k_m")
# Types for which llama-quantize needs minutes: measured only on the smaller model, in the first way.
SLOW = ("iq1", "iq2", "iq3")
# Both programs need importance for these.
IMPORTANT = ("iq1", "iq2", "iq3_xs", "iq3_xxs", "q2_k_s")
# Short runs vary most: they are repeated up to QUICK_RUNS times, as long as all together take no more than QUICK_SECONDS.
QUICK_RUNS, QUICK_SECONDS = 5, 3
QUANTIZER = CLIENTS / "bin" / "llama-quantize"


def types():
    """Names of the types that both programs have, in qconvert's order."""
    plugins = json.loads(subprocess.run([QCONVERT, "plugins", "--json"], check=True, capture_output=True, text=True).stdout)["plugins"]
    own = [name for plugin in plugins if plugin["id"] == "llama.cpp" for name in plugin["schemes"]]
    text = subprocess.run([QUANTIZER, "--help"], capture_output=True, text=True)
    others = {name.lower() for name in re.findall(r"\bor\s+(\w+)\s*:", text.stdout + text.stderr)}
    return [name for name in own if name in others and name not in ("f32", "f16", "bf16")]


class Bench:
    def __init__(self, work, results, runs):
        self.work, self.results, self.runs = work, results, runs
        self.figures = json.loads(results.read_text()) if results.exists() else {}

    def measure(self, place, commands, source, output):
        """Medians of some runs under the key of a place, from the file if it has them; None if a run failed."""
        name = key(*place)
        if name not in self.figures:
            self.make(place[0])
            uses = []
            while len(uses) < self.runs or len(uses) < QUICK_RUNS and sum(use.wall for use in uses) < QUICK_SECONDS:
                if place[-1]:
                    processes.drop_from_cache(source)
                uses.append(processes.run(commands))
                if uses[-1] is None:
                    break
                print(f"{name}: {uses[-1]}", file=sys.stderr)
            found = processes.medians(uses)
            output.unlink(missing_ok=True)
            self.figures[name] = found and dataclasses.asdict(found)
            self.save()
        found = self.figures[name]
        return found and processes.Use(**found)

    def save(self):
        self.results.write_text(json.dumps(self.figures, indent=1))

    def model(self, name):
        """Paths of the folder and of the F16 GGUF of a model."""
        return self.work / name, self.work / f"{name}-f16.gguf"

    def importance(self, name):
        return self.work / f"{name}.imatrix"

    def make(self, name):
        """Makes models and importance that do not exist yet."""
        folder, source = self.model(name)
        if not source.exists():
            self.figures[f"{name} parameters"] = processes.make_model(folder, TOKENIZER, *MODELS[name])
            if processes.run([[*converter(folder), "f16", "--outfile", source]]) is None:
                sys.exit("benchmark: llama.cpp's converter failed")
            # -P: this folder has a file named like a package.
            subprocess.run([sys.executable, "-P", HERE / "make_importance.py", source, self.importance(name)], check=True)
            self.save()


def converter(folder):
    return [sys.executable, CLIENTS / "llama" / "convert_hf_to_gguf.py", folder, "--outtype"]


def own(source, output, name, threads, importance):
    given = ["--importance", importance] if name.startswith(IMPORTANT) else []
    return [QCONVERT, source, output, "--scheme", name, "--plugin", "rtn", *given, "--force", "--quiet", "--threads", threads]


def quantize(source, output, name, threads, importance):
    given = ["--imatrix", importance] if name.startswith(IMPORTANT) else []
    return [QUANTIZER, *given, source, output, name.upper(), threads]


def settings(model, name):
    """The ways in which a type is measured."""
    if name.startswith(SLOW):
        return SETTINGS[:1] if model == "100m" else []
    return SETTINGS if model == "100m" or name in THOROUGH else SETTINGS[:1]


def measure_model(bench, model, names):
    folder, source = bench.model(model)
    output, plain, importance = bench.work / "output.gguf", bench.work / "plain.gguf", bench.importance(model)
    for is_cold in (False, True):
        bench.measure((model, "cp", "", 1, is_cold), [["sh", "-c", f"cp {source} {output} && sync {output}"]], source, output)
    for name in names:
        for threads, is_cold in settings(model, name):
            asked = (output, name, threads, importance)
            bench.measure((model, "qconvert", name, threads, is_cold), [own(source, *asked)], source, output)
            bench.measure((model, "llama-quantize", name, threads, is_cold), [quantize(source, *asked)], source, output)
            weights = folder / "model.safetensors"
            use = bench.measure((model, "qconvert, folder", name, threads, is_cold), [own(folder, *asked)], weights, output)
            # The converter has no option for threads, and takes most of the time.
            if threads > 1 and not is_cold and name in THOROUGH and use:
                both = [[*converter(folder), "bf16", "--outfile", plain], quantize(plain, *asked)]
                bench.measure((model, "converter + llama-quantize", name, threads, is_cold), both, weights, output)
            plain.unlink(missing_ok=True)


def key(model, program, name, threads, is_cold):
    return f"{model} {program} {name} {threads} {'cold' if is_cold else 'warm'}"


def bandwidth():
    """GB/s of copying memory, measured by a separate process: this one must stay small."""
    return float(subprocess.run([sys.executable, HERE / "bandwidth.py"], check=True, capture_output=True, text=True).stdout)


def page(figures, names, runs):
    def use(*place):
        found = figures.get(key(*place))
        return found and processes.Use(**found)

    print(f"Llama models with random weights. {processes.machine()}. Memory is copied at {figures['memory bandwidth']:.0f} GB/s.")
    print(f"Medians of {runs} runs of whole processes, up to {QUICK_RUNS} if these take less than {QUICK_SECONDS} s; CPU is user + "
          "system time; M w/s is million weights per CPU-second; anonymous is the peak of RssAnon in MiB, sampled every "
          f"{processes.INTERVAL * 1000:.0f} ms; read and written are disk traffic in MiB. The floor of the wall time is "
          "the larger of CPU time over threads and `cp` of the source with `sync`.")
    for model in MODELS:
        count = figures.get(f"{model} parameters")
        measured = [name for name in names if use(model, "qconvert", name, 2, False)]
        if not count or not measured:
            continue
        print(f"\n## {count / 1e6:.0f} million parameters\n")
        for program, other, title in (("qconvert", "llama-quantize", "F16 GGUF → type"),
                                      ("qconvert, folder", "converter + llama-quantize", "Hugging Face folder (BF16) → type")):
            print(f"### {title}\n\n| type | threads | source | program | CPU s | wall s | M w/s | peak MiB | anonymous | read | written "
                  "| CPU ratio | wall / floor |\n|---|---:|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
            for name in measured:
                for threads, is_cold in SETTINGS:
                    base = use(model, program, name, threads, is_cold)
                    for who in (program, other):
                        found = use(model, who, name, threads, is_cold)
                        if not found:
                            continue
                        ratio = f"{found.cpu / base.cpu:.1f}" if who == other and base else ""
                        copy = use(model, "cp", "", 1, is_cold)
                        above = f"{found.wall / max(found.cpu / threads, copy.wall):.2f}" if who == program and copy else ""
                        print(f"| {name} | {threads} | {'disk' if is_cold else 'cache'} | {who.removesuffix(', folder')} | {found.cpu:.2f} "
                              f"| {found.wall:.2f} | {count / 1e6 / found.cpu:.0f} | {found.peak:.0f} | {found.anonymous:.0f} "
                              f"| {found.read:.0f} | {found.written:.0f} | {ratio} | {above} |")
            print()
        for is_cold in (False, True):
            floor = use(model, "cp", "", 1, is_cold)
            if floor:
                print(f"The floor: `cp` of the F16 GGUF and `sync`, source in the {'disk' if is_cold else 'cache'}: {floor.cpu:.2f} CPU s, "
                      f"{floor.wall:.2f} s.")


def draw(figures, names, folder):
    """Weights per CPU-second by type, for the largest model that was measured."""
    for model in reversed(MODELS):
        count = figures.get(f"{model} parameters")
        rows = []
        for name in names:
            found = [figures.get(key(model, program, name, 2, False)) for program in ("qconvert", "llama-quantize")]
            if count and all(found):
                rows.append((name, [count / 1e6 / use["cpu"] for use in found]))
        if rows:
            text = plot.bars(f"F16 GGUF → type, {count / 1e6:.0f} million weights", "million weights per CPU-second",
                             ["qconvert", "llama-quantize"], rows)
            (folder / "gguf.svg").write_text(text)
            return


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--types", nargs="*")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--results", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, help="keep the models here")
    parser.add_argument("--page", type=pathlib.Path, help="folder of the plot")
    arguments = parser.parse_args()
    if not TOKENIZER.exists():
        sys.exit("benchmark: needs ../shared/tokenizers/mistral-7b, which is missing")
    names = types()
    work = arguments.work or pathlib.Path(tempfile.mkdtemp(prefix="qconvert-benchmark-"))
    work.mkdir(exist_ok=True)
    try:
        bench = Bench(work, arguments.results or work / "results.json", arguments.runs)
        if "memory bandwidth" not in bench.figures:
            bench.figures["memory bandwidth"] = bandwidth()
        for model in arguments.models:
            measure_model(bench, model, [name for name in names if not arguments.types or name in arguments.types])
        page(bench.figures, names, arguments.runs)
        if arguments.page:
            draw(bench.figures, names, arguments.page)
    finally:
        if not arguments.work:
            shutil.rmtree(work, ignore_errors=True)


main()
