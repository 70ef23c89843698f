#!/usr/bin/env python3
"""Docs/families.md, taken from the program: `qconvert plugins --families --json`. Only the standard library.

  list-families.py QCONVERT            writes the page
  list-families.py QCONVERT --check    exits with 1 if the page differs from what the program says
"""
import json
import pathlib
import subprocess
import sys

PAGE = pathlib.Path(__file__).resolve().parent / "families.md"
HEAD = """# Families

The models of every family below convert between the formats in which it has a name. All are computed too, so that they are evaluated,
calibrated and quantized by every method, except those that are "not computed": these are converted without calibration, or with importance
that another program measured. Models of other architectures convert within their format, as long as no calibration is needed.
[Formats](formats.md) says which variants a format cannot hold. Made by `Docs/list-families.py` from
`qconvert plugins --families`.

"""


TOWERS = """
## Towers

`--mmproj` writes the towers of these classes from a folder to a GGUF of their own ([formats](formats.md#towers-for-images-and-sound)).
No tower is computed by qconvert itself.

"""


def table(kind, families):
    formats = list(families[0]["architectures"])
    rows = [[kind, *(f"architecture in {name}" for name in formats), "what it is", "source"]]
    for family in families:
        names = (", ".join(f"`{name}`" for name in family["architectures"][key]) or "–" for key in formats)
        rows.append([f"`{family['id']}`", *names, family["summary"], family["reference"]])
    lines = ["| " + " | ".join(row) + " |\n" for row in rows]
    return lines[0] + "|---" * len(rows[0]) + "|\n" + "".join(lines[1:])


def page(program):
    said = subprocess.run([program, "plugins", "--families", "--json"], stdout=subprocess.PIPE, check=True).stdout
    lists = json.loads(said)
    return HEAD + table("family", lists["families"]) + TOWERS + table("tower", lists["towers"])


def main():
    text = page(sys.argv[1])
    if sys.argv[2:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print("Docs/families.md: run Docs/list-families.py with this program")
            sys.exit(1)
    else:
        PAGE.write_text(text, encoding="utf-8")


main()
