"""Measures qconvert's GPTQ and AWQ against other programs on the same model and text and prints a Markdown page. Called by methods.sh.

The task: a Llama with random weights (12 blocks, or --blocks N), 128 windows of 256 tokens, 4-bit integers in groups of 128.
A program whose environment could not be made is left out, and the page says so.

This process stays small, and the model is made by another: the peak that Linux reports for a child starts with the size of the
process that forked it.
"""
import argparse
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import operations

HERE = pathlib.Path(__file__).resolve().parent
SHARED = HERE.parents[2] / "shared"
TEXT = SHARED / "text" / "calibration.txt"
PARTS = ("gptq", "awq", "memory", "profile")
PEERS = {"GPTQModel": "GPTQMODEL_PYTHON", "llm-compressor": "LLMCOMPRESSOR_PYTHON", "AutoAWQ": "AUTOAWQ_PYTHON"}


def measure(command):
    """CPU seconds (user + system), wall seconds and peak MiB of one process, or None if it fails."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            log.seek(0)
            print(log.read().decode(errors="replace")[-2000:], file=sys.stderr)
            return None
    return usage.ru_utime + usage.ru_stime, time.monotonic() - start, usage.ru_maxrss / 1024


def own(model, out, *method):
    return [os.environ["QCONVERT"], model, out, "--scheme", "w4a16", "--calibration", TEXT, "--samples", operations.SAMPLES,
            "--context", operations.CONTEXT, "--force", "--quiet", "--plugin", *method]


def programs(part, model, out):
    """Rows of a table: name, and command or None."""
    if part == "gptq":
        rows = [("qconvert", own(model, out, "gptq")), ("qconvert `--products bf16`", own(model, out, "gptq", "--products", "bf16"))]
        peers = [("llm-compressor", "gptq-f32", ", F32"), ("llm-compressor", "gptq", ", BF16"), ("GPTQModel", "gptq", "")]
    else:
        rows = [("qconvert", own(model, out, "awq"))]
        peers = [("llm-compressor", "awq-f32", ", F32"), ("llm-compressor", "awq", ", BF16"), ("AutoAWQ", "awq-f32", ", F32"),
                 ("AutoAWQ", "awq", ", BF16")]
    for peer, method, note in peers:
        python = os.environ.get(PEERS[peer])
        rows.append((peer + note, python and [python, HERE / "peers.py", peer, method, model, TEXT, out]))
    return rows


def compare(part, model, work, runs):
    """A table of all programs, which run in turn."""
    rows = programs(part, model, work / "out")
    found = {name: [] for name, _ in rows}
    for _ in range(runs):
        for name, command in rows:
            shutil.rmtree(work / "out", ignore_errors=True)
            figures = measure(command) if command else None
            if figures:
                print(f"{part}: {name}: {figures[0]:.1f} CPU s, {figures[1]:.1f} s, {figures[2]:.0f} MiB", file=sys.stderr)
                found[name].append(figures)
    medians = {name: [statistics.median(run[i] for run in figures) for i in range(3)] for name, figures in found.items() if figures}
    own_rows = [name for name, _ in rows if name.startswith("qconvert") and name in medians]
    print(f"\n| {part.upper()} | CPU s | wall s | peak MiB |" + "".join(f" CPU of {name} / this | peak / this |" for name in own_rows))
    print("|---|" + "---:|" * (3 + 2 * len(own_rows)))
    for name, _ in rows:
        if name not in medians:
            print(f"| {name} | not measured |" + " |" * (2 + 2 * len(own_rows)))
            continue
        cpu, wall, peak = medians[name]
        ratios = [f" {medians[base][0] / cpu:.2f} | {medians[base][2] / peak:.2f} |" for base in own_rows]
        print(f"| {name} | {cpu:.1f} | {wall:.1f} | {peak:.0f} |" + "".join(ratios), flush=True)
    return medians


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def memory(work, blocks):
    """The peak with this many blocks and with four times as many. The text is short, so hidden states need the same memory in both."""
    print("\n| GPTQ on 16 windows: blocks | million parameters | peak MiB |\n|---:|---:|---:|")
    for count in (blocks, 4 * blocks):
        model = work / f"memory-{count}"
        parameters = make_model(model, count)
        command = own(model, work / "out", "gptq", "--products", "bf16")
        command[command.index("--samples") + 1] = 16
        figures = measure(command)
        shutil.rmtree(model)
        print(f"| {count} | {parameters / 1e6:.0f} | {f'{figures[2]:.0f}' if figures else 'not measured'} |", flush=True)


def profile(model, work):
    """Where the CPU time of GPTQ goes, by function."""
    if not shutil.which("perf"):
        print("\nNo profile: perf (package linux-perf) is missing.")
        return
    data = work / "perf.data"
    command = [str(part) for part in own(model, work / "out", "gptq")]
    subprocess.run(["perf", "record", "-q", "-F", "199", "-o", data, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    report = subprocess.run(["perf", "report", "-i", data, "--stdio", "--no-children", "--sort", "symbol", "-w", "0,400"],
                            check=True, capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in report.splitlines() if line.strip() and not line.startswith("#")]
    names = [row[2].strip() for row in rows]
    if shutil.which("swift"):
        names = subprocess.run(["swift", "demangle", "--compact", "--simplified"], input="\n".join(names), check=True,
                               capture_output=True, text=True).stdout.splitlines()
    print("\n| share of CPU time | function |\n|---:|---|")
    for (share, kind, _), name in list(zip(rows, names))[:16]:
        print(f"| {share} | `{name.strip()[:100]}`{' (kernel)' if kind == '[k]' else ''} |")


def make_model(folder, blocks):
    """Writes the model; returns its number of parameters."""
    maker = [sys.executable, HERE / "make_model.py", folder, SHARED / "models" / "tiny-llama", "--layers", str(blocks),
             "--ffn", str(operations.FFN), "--vocabulary", str(operations.VOCABULARY)]
    return int(subprocess.run(maker, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", choices=PARTS, default=[])
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    parts = options.parts or PARTS
    if not TEXT.exists():
        sys.exit("benchmark: needs ../shared, which is missing")
    with tempfile.TemporaryDirectory(prefix="qconvert-methods-") as work:
        work = pathlib.Path(work)
        # GPTQModel leaves its logs in the working directory.
        os.chdir(work)
        model = work / "model"
        parameters = make_model(model, options.blocks)
        print(f"Llama with random weights, {options.blocks} blocks, {parameters / 1e6:.0f} million parameters, {operations.SAMPLES} windows "
              f"of {operations.CONTEXT} tokens, int4 in groups of 128. {len(os.sched_getaffinity(0))} cores, {cpu_name()}.")
        print(f"Whole processes, {options.runs} of each in turn; CPU is user + system time.")
        for part in parts:
            if part == "memory":
                memory(work, options.blocks)
            elif part == "profile":
                profile(model, work)
            else:
                medians = compare(part, model, work, options.runs)
                if part == "gptq" and "qconvert" in medians:
                    print(operations.table(options.blocks, {name: found[0] for name, found in medians.items() if name.startswith("qconvert")}))


main()
