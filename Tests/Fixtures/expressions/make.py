#!/usr/bin/env python3
"""Makes matches.json: random regular expressions, random texts, and where each match ends that Python's `re` finds at each place of a
text (-1: none)."""
import json
import pathlib
import random
import re

LETTERS = "ab1 "


def atom(rng, depth):
    """An expression, and whether it can match nothing."""
    kind = rng.randrange(10 if depth else 5)
    if kind < 3:
        return rng.choice(["a", "b", "1", " ", "[ab]", "[^a]", r"\d", r"\s", r"\S", r"\w", "."]), False
    if kind == 3:
        return rng.choice([r"\b", r"(?<=a)", r"(?<!\s)", r"(?!\S)", r"(?=\d)"]), True
    if kind == 4:
        return rng.choice(["aa", "ab", r"\d\d\d"]), False
    if kind == 5:
        inner, _ = alternatives(rng, depth - 1)
        return f"({rng.choice(['?=', '?!'])}{inner})", True
    inner, empty = alternatives(rng, depth - 1)
    return f"(?:{inner})", empty


def piece(rng, depth):
    text, empty = atom(rng, depth)
    if empty or rng.random() < 0.4:
        return text, empty
    count = rng.choice(["*", "+", "?", "{2}", "{1,2}", "{0,3}", "*?", "+?", "??", "*", "+"])
    return f"(?:{text}){count}" if len(text) > 2 and not text.startswith(("(", "[")) else text + count, count[0] in "*?" or count.startswith("{0")


def sequence(rng, depth):
    parts = [piece(rng, depth) for _ in range(rng.randint(1, 3))]
    return "".join(text for text, _ in parts), all(empty for _, empty in parts)


def alternatives(rng, depth):
    parts = [sequence(rng, depth) for _ in range(rng.choice([1, 1, 2, 3]))]
    return "|".join(text for text, _ in parts), any(empty for _, empty in parts)


def main():
    rng = random.Random(7)
    cases = []
    while len(cases) < 400:
        expression = alternatives(rng, 2)[0]
        text = "".join(rng.choice(LETTERS) for _ in range(rng.randint(1, 12)))
        if rng.random() < 0.3:
            text = rng.choice(LETTERS) * rng.randint(1, 12) + text
        compiled = re.compile(expression)
        found = [compiled.match(text, start) for start in range(len(text) + 1)]
        cases.append([expression, text, [match.end() if match else -1 for match in found]])
    path = pathlib.Path(__file__).with_name("matches.json")
    path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


main()
