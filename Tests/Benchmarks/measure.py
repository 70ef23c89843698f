"""Measures qconvert and llama.cpp's tools on the same work and prints a Markdown page. Called by run.sh.

This process stays small: what Linux reports as the peak of a child starts with the size of the process that forked it.
"""
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

CLIENTS, QCONVERT = pathlib.Path(os.environ["CLIENTS"]), os.environ["QCONVERT"]
TOKENIZER = pathlib.Path(__file__).resolve().parents[3] / "shared" / "tokenizers" / "mistral-7b"
RUNS = int(os.environ.get("RUNS", 5))
CORES = len(os.sched_getaffinity(0))


def measure(commands):
    """Runs commands one after another: CPU seconds (user + system), wall seconds, peak MiB of the largest process."""
    cpu = peak = 0.0
    start = time.monotonic()
    for command in commands:
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"benchmark: {command[0]} ended with {process.returncode}")
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss / 1024)
    return cpu, time.monotonic() - start, peak


def works(model, work):
    """Rows of the table: name, qconvert's commands, llama.cpp's commands."""
    own, other, plain = work / "own.gguf", work / "other.gguf", work / "plain.gguf"
    converter = [sys.executable, CLIENTS / "llama" / "convert_hf_to_gguf.py", model, "--outtype"]
    quantizer = CLIENTS / "bin" / "llama-quantize"
    source = work / "source.gguf"
    measure([[*converter, "f16", "--outfile", source]])
    rows = [("folder to F16", [[QCONVERT, model, own, "--scheme", "f16", "--force"]], [[*converter, "f16", "--outfile", other]])]
    for scheme in ("q8_0", "q4_0", "q4_k_m", "q6_k"):
        rows.append((
            f"folder to {scheme.upper()}", [[QCONVERT, model, own, "--scheme", scheme, "--plugin", "rtn", "--force"]],
            [[*converter, "bf16", "--outfile", plain], [quantizer, plain, other, scheme.upper(), CORES]]))
    for scheme in ("q8_0", "q4_k_m"):
        rows.append((
            f"F16 GGUF to {scheme.upper()}", [[QCONVERT, source, own, "--scheme", scheme, "--plugin", "rtn", "--force"]],
            [[quantizer, source, other, scheme.upper(), CORES]]))
    return rows


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def main():
    if not TOKENIZER.exists():
        sys.exit("benchmark: needs ../shared/tokenizers/mistral-7b, which is not here")
    work = pathlib.Path(tempfile.mkdtemp(prefix="qconvert-benchmark-"))
    try:
        maker = [sys.executable, pathlib.Path(__file__).with_name("make_model.py"), work / "model", TOKENIZER]
        parameters = int(subprocess.run(maker, check=True, capture_output=True, text=True).stdout)
        print(f"Llama with random weights, {parameters / 1e6:.0f} million parameters, BF16. {CORES} cores, {cpu_name()}.")
        print(f"Medians of {RUNS} alternating runs of whole processes; CPU is user + system time; peak is the largest process.\n")
        print("| work | qconvert CPU s | llama.cpp CPU s | ratio | qconvert wall s | llama.cpp wall s | ratio | qconvert peak MiB "
              "| llama.cpp peak MiB |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
        for name, own, other in works(work / "model", work):
            pairs = [(measure(own), measure(other)) for _ in range(RUNS)]
            (cpu, wall, peak), (other_cpu, other_wall, other_peak) = (
                [statistics.median(pair[side][i] for pair in pairs) for i in range(3)] for side in (0, 1))
            print(f"| {name} | {cpu:.2f} | {other_cpu:.2f} | {other_cpu / cpu:.1f} | {wall:.2f} | {other_wall:.2f} "
                  f"| {other_wall / wall:.1f} | {peak:.0f} | {other_peak:.0f} |", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
