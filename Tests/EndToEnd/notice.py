#!/usr/bin/env python3
"""notice.py: checks that NOTICE has an entry, with origin and terms, for every file of this checkout that is data and not a source.

An entry begins with one or more paths at the start of a line: a file, a folder (which ends with '/'), or a pattern with * and **.
Data are all files below Tests/Fixtures, files elsewhere without the extension of a source, and the sources in TABLES.
Prints one line per problem; exits with code 1 if there is any."""
import fnmatch
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOMS = ["Docs", "Examples", "Sources", "Tests"]
SOURCES = {".swift", ".c", ".h", ".inc", ".cpp", ".modulemap", ".py", ".sh", ".md", ".tutorial"}
# Sources that hold tables or texts by others.
TABLES = re.compile(r"^(DefaultCalibrationText.*\.swift|NormalizationData\.swift|codebooks\.c|FourBitType\.swift)$")
# Leftovers of builds, and files that git ignores.
LEFTOVERS = {".build", ".swiftpm", "__pycache__", ".DS_Store", "Package.resolved"}


def entries(text):
    """The patterns of the entries in sections 1 and 2, each with its entry's lines."""
    found, paths, lines = [], [], []
    for line in text.splitlines():
        if re.match(rf"({'|'.join(ROOMS)})/\S*$", line):
            if lines:
                paths, lines = [], []
            paths.append(line)
        elif line.startswith("  ") and paths:
            if not lines:
                found += [(path, lines) for path in paths]
            lines.append(line.strip())
        else:
            paths, lines = [], []
    return found


def matches(path, pattern):
    if pattern.endswith("/"):
        return path.startswith(pattern)
    return path == pattern or "*" in pattern and fnmatch.fnmatchcase(path, pattern.replace("**/", "*"))


def is_data(path):
    return (
        path.is_relative_to("Tests/Fixtures") or bool(TABLES.match(path.name))
        or path.suffix not in SOURCES and path.name not in ("Makefile", "requirements.txt"))


def main():
    listed = entries((ROOT / "NOTICE").read_text(encoding="utf-8"))
    files = [
        file.relative_to(ROOT) for room in ROOMS for file in sorted((ROOT / room).rglob("*"))
        if file.is_file() and not LEFTOVERS & set(file.relative_to(ROOT).parts)]
    wrong = [
        f"the entry '{pattern}' has no line '{word}'"
        for pattern, lines in listed for word in ("What:", "Origin:", "Terms:") if not any(line.startswith(word) for line in lines)]
    wrong += [
        f"no file is named '{pattern}'"
        for pattern, _ in listed if not any(matches(file.as_posix(), pattern) for file in files)]
    # An entry for the folder of all fixtures would cover any file that is added.
    wrong += [f"'{pattern}' covers too much" for pattern, _ in listed if pattern.count("/") < 3 and pattern.endswith("/")]
    wrong += [
        f"'{file}' has no entry in NOTICE"
        for file in files if is_data(file) and not any(matches(file.as_posix(), pattern) for pattern, _ in listed)]
    print("\n".join(wrong) or f"{len(files)} files, {len(listed)} entries")
    sys.exit(bool(wrong))


main()
