#!/usr/bin/env python3
"""hostile.py PROGRAM SECONDS: runs a program that was built with the address sanitizer on every malformed, borderline and valid file of the
fixtures, on sound conversions, and for so many seconds on models that are damaged at random (Tests/Fuzz/mutate.py).

The sanitizer ends a program at the first access outside of what was allocated, with a code that no error has. One line for each finding;
the last says how many runs there were.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parents[1]
FOUND = 99
SCHEMES = ["q8_0", "q4_k_m", "q2_k", "iq4_xs", "int4-g32", "int4-g32-asym", "int8-channel", "fp8-block32", "nvfp4", "mxfp4", "nf4-g32"]


def main():
    program, seconds = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]
    # Swift frees nothing at the end, and small allocations inside arrays are not leaks.
    environment = os.environ | {"ASAN_OPTIONS": f"exitcode={FOUND}:detect_leaks=0:abort_on_error=0"}
    runs, findings = 0, 0
    with tempfile.TemporaryDirectory(prefix="qconvert-sanitize-") as work:
        work = pathlib.Path(work)
        for name in ("st", "gg", "out"):
            (work / name).mkdir()
        subprocess.run([sys.executable, TESTS / "Fixtures" / "malformed" / "generate.py"], cwd=work, check=True, stdout=subprocess.DEVNULL)
        subprocess.run([sys.executable, TESTS / "EndToEnd" / "make_inputs.py", work / "in"], check=True, stdout=subprocess.DEVNULL)
        files = [*sorted((work / "st").iterdir()), *sorted((work / "gg").iterdir()), *sorted((TESTS / "Fixtures" / "pytorch").rglob("*.bin"))]
        commands = [["inspect", path] for path in files] + [[path, work / "out" / "o.gguf", "--scheme", "q8_0", "--force"] for path in files]
        good = work / "in" / "good"
        for scheme in SCHEMES:
            target = work / "out" / (scheme if "-" in scheme or scheme.endswith("4") and "p4" in scheme else scheme + ".gguf")
            commands += [[good, target, "--scheme", scheme], [target, work / "out" / "again", "--scheme", "f16", "--allow-requantize", "--force"]]
            commands += [["compare", good, target], ["validate", target], ["eval", target, "--text", TESTS / "Fixtures" / "text" / "evaluation.txt",
                                                                             "--context", "32", "--windows", "1"]]
        for methods in (["awq:grid=2"], ["gptq"], ["smoothquant", "gptq"]):
            arguments = [word for method in methods for word in ("--plugin", method)]
            commands.append([good, work / "out" / "-".join(methods).replace(":", "-"), "--scheme", "int4-g32", *arguments, "--samples", "2", "--context", "16"])
        for arguments in commands:
            runs += 1
            done = subprocess.run(
                [program, *map(str, arguments)], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
            if done.returncode in (FOUND, 70) or done.returncode < 0 or "AddressSanitizer" in done.stderr:
                findings += 1
                what = [line for line in done.stderr.splitlines() if "SUMMARY" in line or "ERROR" in line or "Fatal" in line]
                print(f"FAIL {' '.join(map(str, arguments))}: ended with {done.returncode}: {'; '.join(what)[:400]}", flush=True)
    print(f"{runs} runs on fixtures, {findings} findings", flush=True)
    damaged = subprocess.run([sys.executable, TESTS / "Fuzz" / "mutate.py", program, seconds], env=environment, check=False)
    return 1 if findings or damaged.returncode else 0


sys.exit(main())
