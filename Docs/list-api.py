#!/usr/bin/env python3
"""The pages in Docs/reference: public declarations that plug-ins use, with the first sentence of their documentation, taken from the
sources. Only the standard library.

  list-api.py           writes the pages
  list-api.py --check   exits with 1 if a page differs from what the sources give
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCES = ROOT / "Sources"
# Page: title, what it is for, and the folders and files whose declarations it lists, in this order.
PAGES = {
    "families": (
        "Reference for families", "[A family](../plugins/family.md) reads keys, makes parts of them, and names the tensors.", [
            ("FamilyKit: what a family is built from", "Plugins/FamilyKit"),
            ("Parts of a block", "QuantCore/Engine/Parts"),
            ("The description of a model", "QuantCore/Model/Families"),
        ]),
    "methods": (
        "Reference for methods", "[A method](../plugins/method.md) works on a block with its statistics, and rounds panels.", [
            ("Stages of a method", "QuantCore/Model/Methods"),
            ("What is observed", "QuantCore/Model/Statistics"),
            ("Matrices and panels", "QuantCore/Numbers/Numerics"),
        ]),
    "schemes": (
        "Reference for schemes and packings",
        "[A scheme](../plugins/scheme.md) is a grid and a rule; [a packing](../plugins/packing.md) stores what a grid holds.", [
            ("Schemes", "QuantCore/Numbers/Schemes"),
            ("Stored tensors", "QuantCore/Numbers/Tensors"),
            ("Packings", "QuantCore/Model/Packings"),
            ("Presets", "QuantCore/Model/Presets"),
        ]),
    "formats": (
        "Reference for formats", "[A format](../plugins/format.md) reads a checkpoint and lays out an output.", [
            ("Readers and formats", "QuantCore/Model/Formats"),
            ("Checkpoints", "QuantCore/Model/Checkpoints"),
            ("Clients", "QuantCore/Model/Clients"),
            ("FolderKit: the files of a Hugging Face folder", "Plugins/FolderKit"),
            ("Files and bytes", "QuantCore/Base/Files"),
        ]),
    "values": (
        "Reference for every plug-in", "Errors, options, JSON, and the registry that finds plug-ins.", [
            ("What a plug-in says about itself", "QuantCore/Base/Plugins"),
            ("Errors", "QuantCore/Base/Errors"),
            ("Values", "QuantCore/Base/Values"),
            ("Registry", "QuantCore/Model/Registry"),
            ("Running a model", "QuantCore/Engine/Forward"),
        ]),
}
OPENING = re.compile(r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*((?:public |final |indirect |package |private |fileprivate |internal )*)"
                     r"(struct|enum|class|protocol|extension)\s+([\w.]+)")
NESTED_LIMIT = 3


def sentence(comment):
    """The first sentence of a doc comment, without its parameters."""
    text = " ".join(line.strip() for line in comment)
    text = re.split(r"\s- (?:Parameter|Parameters|Returns|Throws|Precondition)\b", " " + text)[0].strip()
    found = re.match(r"(.+?[.])(?=\s+[A-Z`(]|$)", text)
    return found[1] if found else text


def code(line):
    """A line without its comment and the contents of its texts."""
    line = re.sub(r'"(?:\\.|[^"\\])*"', '""', line)
    return line.split("//")[0]


def signature(lines, index):
    """A declaration without its body, and the index of its last line."""
    text, depth, last = "", 0, index
    for last in range(index, min(index + 24, len(lines))):
        part = lines[last].strip()
        bare = code(part)
        cut = None
        for position, letter in enumerate(bare):
            if letter in "([":
                depth += 1
            elif letter in ")]":
                depth -= 1
            elif letter == "{" and depth == 0:
                cut = position
                break
        whole = part if cut is None and bare == part else bare
        text += (" " if text else "") + (whole if cut is None else bare[:cut]).strip()
        if cut is not None:
            break
        following = lines[last + 1].strip() if last + 1 < len(lines) else ""
        if depth == 0 and not text.endswith((",", "->", "=")) and not following.startswith(("->", "where", ") ", "throws", "=")):
            break
    text = re.sub(r"\( ", "(", re.sub(r" \)", ")", text))
    text = re.sub(r"(\bvar\b[^=]*): ([^=]+) = .*", r"\1: \2", text) if " var " in " " + text and "{" not in text else text
    return re.sub(r"\s+", " ", text).strip().removesuffix(" ="), last


def declarations(path):
    """Lines of the interface of a file."""
    lines = path.read_text(encoding="utf-8").split("\n")
    result, comment, stack, depth = [], [], [], 0
    for index, line in enumerate(lines):
        bare = code(line)
        stripped = line.strip()
        if stripped.startswith("///"):
            comment.append(stripped[3:].strip())
            continue
        opening = OPENING.match(line)
        inside = stack[-1] if stack else None
        at_member = depth == (inside[0] if inside else 0)
        is_public = bool(re.match(r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:public|static public|final public)\b", line))
        if opening and at_member and (inside is None or inside[1]):
            visible = "private" not in opening[1] and (is_public or opening[2] == "extension")
            text, _ = signature(lines, index)
            header = ("  " * len(stack) + text + " {", sentence(comment), len(stack))
            stack.append([depth + 1, visible and len(stack) < NESTED_LIMIT, opening[2] == "protocol", header, False])
        elif at_member and inside and inside[1]:
            is_requirement = inside[2] and re.match(r"^\s*(static |mutating |associatedtype |init|var |func |subscript)", line)
            is_case = re.match(r"^\s*(indirect )?case ", line) and "enum" in inside[3][0]
            if (is_public and not re.match(r"^\s*public (import|typealias)", line)) or is_requirement or is_case:
                for level in stack:
                    if not level[4]:
                        level[4] = True
                        text, words, nesting = level[3]
                        if words:
                            result.append("  " * nesting + "/// " + words)
                        result.append(text)
                text, _ = signature(lines, index)
                text = re.sub(r"^public ", "", text)
                if comment:
                    result.append("  " * len(stack) + "/// " + sentence(comment))
                result.append("  " * len(stack) + text)
        elif at_member and inside is None and is_public and re.match(r"^\s*public (func|let|var|typealias)", line):
            text, _ = signature(lines, index)
            if comment:
                result.append("/// " + sentence(comment))
            result.append(text)
        if stripped and not stripped.startswith("@"):
            comment = []
        depth += bare.count("{") - bare.count("}")
        while stack and depth < stack[-1][0]:
            level = stack.pop()
            if level[4]:
                result.append("  " * level[3][2] + "}")
            elif level[1] and level[2]:
                result += (["/// " + level[3][1]] if level[3][1] else []) + [level[3][0] + "}"]
    return result


def page(title, words, sections):
    text = f"# {title}\n\n{words} Made by `Docs/list-api.py` from the sources; `make docs` builds the whole documentation.\n"
    for name, folder in sections:
        text += f"\n## {name}\n"
        for path in sorted((SOURCES / folder).rglob("*.swift")):
            lines = declarations(path)
            if lines:
                text += f"\n`{path.relative_to(SOURCES)}`\n\n```swift\n" + "\n".join(lines) + "\n```\n"
    return text


def main():
    folder = ROOT / "Docs" / "reference"
    stale = []
    for name, (title, words, sections) in PAGES.items():
        path = folder / f"{name}.md"
        text = page(title, words, sections)
        if sys.argv[1:] == ["--check"]:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(path.name)
        else:
            folder.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"{', '.join(stale)}: run Docs/list-api.py")
    sys.exit(bool(stale))


main()
