#!/usr/bin/env python3
"""Checks the drawing of the layers in Docs/architecture.md against Package.swift.

Usage: layers.py [ROOT]   (default: the checkout that holds this file)
Prints one line per check; the last line is "N passed, N failed". Exit status 1 if the two differ.
"""
import os
import re
import sys


def drawn(text):
    """Layer -> its dependencies, from the block of arrows."""
    arrows = re.findall(r"^([A-Z]\w+) +→ (.+)$", text, re.M)
    return {name: {word.strip() for word in words.split(",")} for name, words in arrows}


def declared(text):
    """The same from the targets, without the prefix of the layers' modules."""
    def names(words):
        return {re.sub("^Quant(?=[A-Z])", "", word) for word in re.findall(r'"(\w+)"', words)}
    targets = {name: names(words) for name, words in re.findall(r'^    layer\("(\w+)", \[(.*?)\]\)', text, re.M | re.S)}
    core = re.search(r'name: "QuantCore", dependencies: \[(.*?)\]', text)
    if core:
        targets["QuantCore"] = names(core.group(1))
    return targets


def main(root):
    drawing = drawn(open(os.path.join(root, "Docs/architecture.md"), encoding="utf-8").read())
    package = declared(open(os.path.join(root, "Package.swift"), encoding="utf-8").read())
    passed = failed = 0
    for layer in sorted(set(drawing) | set(package)):
        if drawing.get(layer) == package.get(layer):
            passed += 1
            print(f"ok   layer {layer}")
        else:
            failed += 1
            print(f"FAIL layer {layer}: drawn {sorted(drawing.get(layer, []))}, declared {sorted(package.get(layer, []))}")
    if not package:
        failed += 1
        print("FAIL Package.swift declares no layer")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")))
