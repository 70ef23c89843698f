#!/usr/bin/env python3
"""bytes.py QCONVERT OUT.tsv [--compare OLD.tsv] [--only REGEX] [--jobs N]: converts the fixtures in many ways; one hash per output.

To check that a change leaves every output unchanged, run this with the program from before the change and the one from after it:

    Tests/Structure/bytes.py before/qconvert before.tsv
    Tests/Structure/bytes.py .build/release/qconvert after.tsv --compare before.tsv

The second call lists every row that differs, and exits with 1 if there is one. Only Python's standard library is needed. Each row
runs with one thread; --jobs runs N rows at a time. --only makes and compares only the rows whose names match the expression, and
those named `start/`, whose outputs other rows read.

Inputs are copies of Tests/Fixtures, models that this script cuts or widens from them, and the outputs of the rows named `start/`.
If ../shared exists beside the checkout, its models, its folders written by other tools and its tokenizers are converted too; the
first line of OUT.tsv says whether they were. --compare counts rows that are missing because ../shared is missing, but does not fail.

Columns: name; exit code; bytes; SHA-256 over the names and contents of all files of the output, metadata included; SHA-256 of the
result document without times and memory; the message of a refused conversion; arguments. Methods with calibration give the same
bytes only on processors with the same vector units, so make both files on one machine.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

from conversions import rest, starts
from inputs import HAS_SHARED, prepare

COLUMNS = ("name", "exit", "bytes", "files", "report", "message", "arguments")


def hash_of(paths, folder):
    total, digest = 0, hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode())
        digest.update(content)
        total += len(content)
    return total, digest.hexdigest()


def timeless(document):
    """A result document without values that depend on the machine and its load."""
    if isinstance(document, dict):
        without = ("seconds", "cpu_seconds", "peak_memory_bytes")
        return {key: timeless(value) for key, value in document.items() if key not in without}
    return [timeless(value) for value in document] if isinstance(document, list) else document


def run(row, program, work):
    """Runs a row in a separate folder; returns its columns."""
    place = work / "rows" / re.sub(r"[^\w.-]+", "_", row.name)
    place.mkdir(parents=True)
    (place / "in").symlink_to(work / "in")
    command = [program, *row.arguments, "--threads", "1", "--quiet"]
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)
        code, lines = str(done.returncode), done.stderr.strip().splitlines()
    except subprocess.TimeoutExpired:
        code, lines = "timeout", []
    (place / "in").unlink()
    files = sorted(path for path in place.rglob("*") if path.is_file())
    reports = [path for path in files if path.name.endswith(".qconvert.json")]
    outputs = [path for path in files if path not in reports]
    size, content = hash_of(outputs, place) if outputs else (0, "-")
    documents = [timeless(json.loads(path.read_text())) for path in reports]
    report = hashlib.sha256(json.dumps(documents, sort_keys=True).encode()).hexdigest() if documents else "-"
    message = (lines[0] if lines and code != "0" else "-").replace("\t", " ").replace(str(work), "WORK")
    if row.makes and code == "0":
        shutil.move(place / row.out, work / "in" / row.makes)
    shutil.rmtree(place)
    return row.name, code, str(size), content, report, message, " ".join(row.arguments)


def load(path):
    lines = pathlib.Path(path).read_text().splitlines()
    return {line.split("\t")[0]: line.split("\t") for line in lines if line and not line.startswith("#")}


def compare(new, old, selected):
    """Prints the differences; returns the number of rows that differ."""
    different = 0
    for name, row in new.items():
        before = old.get(name)
        if before is None:
            print(f"new        {name}")
        elif row[1:6] != before[1:6]:
            different += 1
            columns = [column for column, a, b in zip(COLUMNS[1:6], before[1:6], row[1:6]) if a != b]
            print(f"different  {name}: {', '.join(columns)}: {' '.join(row[6:])}")
            if before[5] != row[5]:
                print(f"    before: {before[1]} {before[5]}\n    now:    {row[1]} {row[5]}")
    gone = [name for name in old if name not in new and selected(name)]
    absent = [] if HAS_SHARED else [name for name in gone if name.startswith(("shared/", "golden/", "tokens/"))]
    for name in set(gone) - set(absent):
        print(f"gone       {name}")
        different += 1
    print(f"{different} of {len(new)} rows differ" + (f"; {len(absent)} need ../shared, which is missing" if absent else ""))
    return different


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("out")
    parser.add_argument("--compare", metavar="OLD.tsv")
    parser.add_argument("--only", metavar="REGEX", default="")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    program = os.path.realpath(options.program)
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    selected, begun = re.compile(options.only).search, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="qconvert-bytes-") as folder:
        work = pathlib.Path(folder)
        prepare(work / "in")
        first = list(starts(work / "in"))
        others = [row for row in rest(work / "in") if selected(row.name)]
        print(f"{len(first) + len(others)} rows", file=sys.stderr, flush=True)
        counts = collections.Counter(row.name for row in first + others)
        assert max(counts.values()) == 1, f"two rows have the same name: {counts.most_common(3)}"
        made, last = {}, begun
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for rows in (first, others):
                # Some models cannot become the GGUF that a row would read; the row that tries to make it records why.
                readable = [row for row in rows if all((work / path).exists() for path in row.inputs())]
                for columns in pool.map(lambda row: run(row, program, work), readable):
                    made[columns[0]] = list(columns)
                    if time.monotonic() - last > 30:
                        last = time.monotonic()
                        print(f"{len(made)} of {len(first) + len(others)} rows, {last - begun:.0f} s", file=sys.stderr, flush=True)
    refused = sum(columns[1] != "0" for columns in made.values())
    summary = f"{len(made)} rows, {refused} of them refused"
    with open(options.out, "w") as out:
        out.write(f"# qconvert {version} on {platform.machine()}; ../shared {'was' if HAS_SHARED else 'was not'} there; {summary}\n")
        out.write("# " + "\t".join(COLUMNS) + "\n")
        out.writelines("\t".join(columns) + "\n" for columns in made.values())
    print(f"{summary}, {time.monotonic() - begun:.0f} s")
    strange = [name for name, columns in made.items() if columns[1] in ("timeout", "70") or columns[1].startswith("-")]
    for name in strange:
        print(f"broken     {name}: ended with {made[name][1]}: {made[name][5]}")
    different = compare(made, load(options.compare), selected) if options.compare else 0
    sys.exit(1 if different else 0)


main()
