#!/usr/bin/env python3
"""parsers.py PROGRAM SECONDS [--only NAME] [--runs COUNT] [--keep]: gives each parser random bytes, for so many seconds each.

PROGRAM is the build for fuzzing (`make fuzz-parsers` makes it): libFuzzer begins with the inputs in Corpus/NAME, changes them, and keeps
those that reach code that none reached before. A trap, a time-out of 20 seconds, or more than 2 GB of memory is a finding; the input is
kept in the folder that is printed. SECONDS 0 runs only what is in the corpus. --runs ends a parser after so many executions. --keep adds
to the corpus what was found to reach more code, as few and small inputs as do. One line for each parser; exit code 1 after a finding.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

CORPUS = pathlib.Path(__file__).resolve().parent / "Corpus"
# Larger inputs are slower and find no more.
LENGTH = 8192
KEPT = 2048


def fuzz(program, name, options, findings):
    """Runs one parser; returns whether nothing was found."""
    with tempfile.TemporaryDirectory(prefix="qconvert-parser-") as work:
        new, merged = pathlib.Path(work) / "new", pathlib.Path(work) / "merged"
        new.mkdir()
        merged.mkdir()
        environment = os.environ | {"QCONVERT_PARSER": name, "SWIFT_BACKTRACE": "enable=no"}
        common = ["-timeout=20", "-rss_limit_mb=2048", f"-max_len={LENGTH}", f"-artifact_prefix={findings}/{name}-", "-print_final_stats=1"]
        how = ["-runs=0"] if options.seconds == 0 else [f"-max_total_time={options.seconds}"]
        if options.runs:
            how.append(f"-runs={options.runs}")
        done = subprocess.run([program, *common, *how, new, CORPUS / name], env=environment, capture_output=True, text=True, errors="replace", check=False)
        count = re.search(r"number_of_executed_units: (\d+)", done.stderr)
        reached = re.findall(r"cov: (\d+)", done.stderr)
        said = f"{int(count.group(1)) if count else 0} executions, {reached[-1] if reached else 0} places of the code"
        if done.returncode != 0:
            what = [line for line in done.stderr.splitlines() if "Fatal error" in line or "ERROR: libFuzzer" in line or line.startswith("SUMMARY")]
            print(f"FAIL {name}: {said}; {'; '.join(what)[:400]}; see {findings}", flush=True)
            (findings / f"{name}.log").write_text(done.stderr)
            return False
        print(f"ok   {name}: {said}", flush=True)
        if options.keep:
            subprocess.run([program, "-merge=1", "-rss_limit_mb=2048", f"-max_len={KEPT}", merged, CORPUS / name, new],
                           env=environment, capture_output=True, check=True)
            known = {path.read_bytes() for path in (CORPUS / name).iterdir()}
            for path in merged.iterdir():
                if path.read_bytes() not in known:
                    shutil.copy(path, CORPUS / name / path.name[:12])
        return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("seconds", type=int)
    parser.add_argument("--only")
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    findings = pathlib.Path(tempfile.mkdtemp(prefix="qconvert-parser-findings-"))
    names = sorted(path.name for path in CORPUS.iterdir() if options.only in (None, path.name))
    results = [fuzz(options.program.resolve(), name, options, findings) for name in names]
    if all(results):
        shutil.rmtree(findings)
    print(f"{len(results)} parsers, {results.count(False)} with findings")
    return 0 if results and all(results) else 1


sys.exit(main())
