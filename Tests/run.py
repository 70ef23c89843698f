#!/usr/bin/env python3
"""run.py: runs the unit tests and the end-to-end checks; the last line counts both: N passed, N failed, N skipped.

A test that cannot run on this machine is skipped, and the output says why. If CI is set in the environment, a skipped test counts as
a failure: `make test` and .ci/run then end with an error.
"""
import collections
import os
import re
import subprocess
import sys

# How `swift test` reports a test function, and how Tests/EndToEnd/run.sh reports a check. A run that ends early has no summary. A line
# about an argument with a zero byte ends there, without a line break, so a report may follow in the same line.
UNIT = re.compile(r"(?:^\S+|[✔✘➜]) +Test (\S+)(?: with \d+ test cases?)? (passed|failed|skipped)\b")
UNIT_END = re.compile(r"(?:^\S+|[✔✘]) +Test run with (\d+) tests? ")
CHECK = re.compile(r"^(FAIL|skip) ")
CHECK_END = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")


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
    counts, notable, broken = collections.Counter(passed=0, failed=0, skipped=0), [], []

    code, lines = run("unit")
    for line in lines:
        if found := UNIT.search(line):
            counts[found.group(2)] += 1
            if found.group(2) != "passed":
                notable.append(line.split(" ", 1)[1].strip())
    ends = sum(int(found.group(1)) for line in lines if (found := UNIT_END.search(line)))
    if ends != counts.total() or not ends:
        broken.append(f"the unit tests ended early: of {ends} tests {counts.total()} have a result")
    if code and not counts["failed"]:
        broken.append(f"make unit ended with {code}")

    code, lines = run("end-to-end")
    notable += [line for line in lines if CHECK.match(line)]
    ends = [found for line in lines if (found := CHECK_END.match(line))]
    if len(ends) == 1:
        checks = dict(zip(counts, map(int, ends[0].groups())))
        counts.update(checks)
    if len(ends) != 1 or (code and not checks["failed"] and not checks["skipped"]):
        broken.append(f"make end-to-end ended with {code}")

    if counts["skipped"] and os.environ.get("CI"):
        broken.append("CI is set, so no test may be skipped")
    print("\n" + "\n".join(notable + broken))
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    sys.exit(bool(counts["failed"] or broken))


main()
