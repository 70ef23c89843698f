"""Runs the checks in `checks/` and counts the results. Called by run.sh."""
import argparse
import collections
import importlib
import os
import pathlib
import shutil
import sys
import time
import warnings

warnings.filterwarnings("ignore")

import registry  # noqa: E402
from clients import WORK  # noqa: E402


def run_one(title, check, case):
    """Runs one check on one case. Returns `passed`, `failed` or `skipped`, and the seconds it took."""
    start = time.monotonic()
    try:
        detail = check(case) if case is not None else check()
        outcome = "passed"
    except registry.Skip as skip:
        outcome, detail = "skipped", str(skip)
    except Exception as error:  # a check fails by raising, and a bug in a check is a failure too
        outcome, detail = "failed", str(error) or repr(error)
    mark = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}[outcome]
    seconds = time.monotonic() - start
    print(f"{mark} {title}" + (f": {detail}" if detail else "") + f" [{seconds:.1f} s]", flush=True)
    return outcome, seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()

    for path in sorted((pathlib.Path(__file__).parent / "checks").glob("*.py")):
        importlib.import_module(f"checks.{path.stem}")
    counts, times = {"passed": 0, "failed": 0, "skipped": 0}, collections.Counter()
    for title, check, case, slow in registry.CHECKS:
        file = check.__module__.removeprefix("checks.")
        if (slow if options.slow else options.all or not slow) and (options.only in title or options.only == file):
            outcome, seconds = run_one(title, check, case)
            counts[outcome] += 1
            times[file] += seconds

    if options.keep:
        print(f"kept {WORK}")
    else:
        shutil.rmtree(WORK, ignore_errors=True)
    print(f"{times.total():.0f} s: " + ", ".join(f"{name} {seconds:.0f}" for name, seconds in times.most_common()))
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    # If CI is set, every check must run.
    sys.exit(1 if counts["failed"] or not counts["passed"] or (counts["skipped"] and os.environ.get("CI")) else 0)


main()
