#!/usr/bin/env python3
"""malformed.py QCONVERT FOLDER: runs the program on every file in FOLDER/st and FOLDER/gg, and on the PyTorch fixtures, and judges the
answers.

FOLDER/cases.json says for each file whether it must be accepted or refused, or whether that is a matter of policy. In all cases the
program must not be killed by a signal, must be quick and use little memory, and must write nothing unless it ends with 0.
"""
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

SECONDS, MEGABYTES = 2.0, 64
# Policy: a name of 64 bytes is legal by the specification, so it is read; for writing, llama.cpp's limit of 63 applies.
READ_BUT_NOT_WRITTEN = {"G47"}
program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
out = folder / "out"


def attempt(arguments):
    """Runs the program: exit status (negative for a signal), seconds, peak megabytes, standard error."""
    start = time.monotonic()
    process = subprocess.Popen(
        [program, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (10, 10)))
    said = process.stderr.read().decode(errors="replace").strip()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, time.monotonic() - start, usage.ru_maxrss / 1024, said


def judge(path, owed, refusals=(65,)):
    """What is wrong with the answers to one file, in sentences. `refusals`: correct exit codes for a bad file."""
    found = []
    for arguments in (["inspect", path], [path, out / "out.gguf", "--scheme", "q8_0"]):
        code, seconds, megabytes, said = attempt(arguments)
        what = "inspect" if arguments[0] == "inspect" else "convert"
        if code < 0 or code >= 128 or code == 70:
            found.append(f"{what} ended with {code}")
        if seconds > SECONDS or megabytes > MEGABYTES:
            found.append(f"{what} took {seconds:.1f} s and {megabytes:.0f} MB")
        if any(ord(c) < 32 and c != "\n" for c in said):
            found.append(f"{what} printed control characters")
        if owed == "reject" and code not in refusals:
            found.append(f"{what} ended with {code} instead of {refusals[0]}")
        if owed == "accept" and what == "inspect" and code != 0:
            found.append(f"{what} ended with {code} instead of 0: {said[-100:]}")
        if code != 0 and any(out.iterdir()):
            found.append(f"{what} ended with {code} and left {[p.name for p in out.iterdir()]}")
        for left in out.iterdir():
            left.unlink()
    return found


def main():
    cases, wrong, count = json.loads((folder / "cases.json").read_text()), [], 0
    for kind, suffix in (("st", ".safetensors"), ("gg", ".gguf")):
        for name, (description, owed) in cases[kind].items():
            count += 1
            owed = "policy" if name in READ_BUT_NOT_WRITTEN else owed
            wrong += [f"{name} ({description}): {sentence}" for sentence in judge(folder / kind / (name + suffix), owed)]
    saved = pathlib.Path(__file__).resolve().parents[1] / "Fixtures" / "pytorch"
    for line in (saved / "answers.txt").read_text().splitlines():
        name, answer = line.split()
        count += 1
        # Forbidden contents of a pickle, and forms that are not read, count as unsupported.
        wrong += [f"{name}: {sentence}" for sentence in judge(saved / "bad" / f"{name}.bin", "accept" if answer == "accept" else "reject", (65, 69))]
    if wrong:
        print(f"{len(wrong)} wrong answers to {count} files: " + "; ".join(wrong[:12]))
        sys.exit(1)
    print(f"{count} malformed, borderline and valid files get the right answer")


main()
