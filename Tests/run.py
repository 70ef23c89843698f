#!/usr/bin/env python3
"""run.py: runs the unit tests and the end-to-end checks; the last line counts both: N passed, N failed, N skipped.

A test that cannot run on this machine is skipped, and the output says why. If CI is set in the environment, a skipped test is a
failure: `make test` and .ci/run then end with an error.
"""
import os
import re
import subprocess
import sys

# As `swift test` reports a test function, and as Tests/EndToEnd/run.sh reports a check. A run that ends early has no summary.
UNIT = re.compile(r"^\S+ +Test (\S+)(?: with \d+ test cases?)? (passed|failed|skipped)\b")
UNIT_END = re.compile(r"^\S+ +Test run with (\d+) tests? ")
CHECK = re.compile(r"^(ok|FAIL|skip) +(.*)")
CHECK_END = re.compile(r"^\d+ passed, \d+ failed, \d+ skipped$")
OUTCOMES = {"ok": "passed", "FAIL": "failed", "skip": "skipped"}


def run(target):
    """Runs a target of the Makefile and shows its output. Returns its exit code and lines."""
    process = subprocess.Popen([os.environ.get("MAKE", "make"), target], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = []
    for line in process.stdout:
        sys.stdout.buffer.write(line)
        sys.stdout.flush()
        lines.append(line.decode(errors="replace").rstrip())
    return process.wait(), lines


def main():
    names, broken = {"passed": [], "failed": [], "skipped": []}, []

    code, lines = run("unit")
    for line in lines:
        if found := UNIT.match(line):
            names[found.group(2)].append(line.split(" ", 1)[1].strip())
    ends = [int(found.group(1)) for line in lines if (found := UNIT_END.match(line))]
    counted = sum(map(len, names.values()))
    if sum(ends) != counted or not counted:
        broken.append(f"the unit tests ended early: {counted} of {sum(ends)} tests are accounted for")
    if code and not names["failed"]:
        broken.append(f"make unit ended with {code}")

    code, lines = run("end-to-end")
    for line in lines:
        if found := CHECK.match(line):
            names[OUTCOMES[found.group(1)]].append(found.group(2))
    if not any(CHECK_END.match(line) for line in lines):
        broken.append(f"the end-to-end checks ended early, with {code}")

    print()
    for outcome in ("skipped", "failed"):
        for name in names[outcome]:
            print(f"{outcome}: {name}")
    for sentence in broken:
        print(sentence)
    print(", ".join(f"{len(names[outcome])} {outcome}" for outcome in names))
    if names["skipped"] and os.environ.get("CI"):
        print("CI is set: no test may be skipped")
    sys.exit(bool(names["failed"] or broken or names["skipped"] and os.environ.get("CI")))


main()
