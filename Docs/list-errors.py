#!/usr/bin/env python3
"""The tables of all error ids in Docs/errors.md and of all findings in Docs/validation.md, taken from the sources. Only the
standard library.

  list-errors.py           writes the tables into the pages
  list-errors.py --check   exits with 1 where a page does not have the table that the sources give
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- ids: begin -->\n", "<!-- ids: end -->\n"
KINDS = {
    "usage": "usage", "data": "data", "noInput": "no-input", "unsupported": "unsupported", "internalError": "internal",
    "cannotCreate": "cannot-create", "io": "io", "config": "config", "gate": "gate",
}
ID = r'"([a-z0-9]+(?:[.-][a-z0-9]+)*\.[a-z0-9.-]+)"'
# What `validate` finds has a severity instead.
FINDING = re.compile(r"[fF]inding(?:\.grouped)?\(\s*\.(error|warning),\s*" + ID)
# Where a kind stands in front, the literal is an id. Elsewhere ids are known by their areas.
WITH_KIND = re.compile(r"\.(" + "|".join(KINDS) + r")\s*,\s*" + ID)
ALONE = re.compile(r'"((?:ct|format|gg|gguf|hf|json|limit|model|plugin|scheme|st|tokenizer)\.[a-z0-9.-]+)"')
# Names of files, tensors and metadata that look like ids.
OTHER = re.compile(r"\.(weight|json|safetensors)$|^tokenizer\.(ggml\.|model$)")
# Ids that replace another id while the message stays, or whose message is put together elsewhere.
RENAMED = {
    "format.unknown": "no format has this name", "plugin.unknown": "no method has this name",
    "gg.version": "is of a version of GGUF that is not read", "st.header.beyond-file": "the header is longer than the file",
    "hf.index.duplicate": "the index names a tensor twice",
    "st.field.duplicate": "a field of a tensor appears twice", "st.metadata.duplicate": "a key of the metadata appears twice",
    "st.name.duplicate": "a tensor's name appears twice", "st.name.utf8": "a name is not valid UTF-8",
    "st.header.utf8": "a string of the header is not valid UTF-8",
    "st.name.surrogate": "a \\u escape in a name is half of a surrogate pair",
    "st.header.surrogate": "a \\u escape in the header is half of a surrogate pair",
    "st.header.depth": "values of the header are nested too deeply",
    "st.header.padding": "the header is padded with something else than spaces",
    "st.header.trailing": "something follows the header's JSON object",
}


def literal(text, start):
    """The first string literal with a space in it after `start`, interpolations replaced; None at the end of the call."""
    position = start
    while position < min(len(text), start + 400):
        if text[position] in "{}" or text.startswith("Failure(", position):
            return None
        if text[position] != '"':
            position += 1
            continue
        result, position = "", position + 1
        while text[position] != '"':
            if text.startswith("\\(", position):
                depth, position, result = 1, position + 2, result + "…"
                while depth:
                    depth += {"(": 1, ")": -1}.get(text[position], 0)
                    position += 1
            else:
                result, position = result + text[position], position + 1
        position += 1
        if " " in result:
            return result.strip().replace("\\\"", '"').replace("\\\\", "\\").replace("|", "\\|")
    return None


def ids():
    """{id: ({kinds}, first message)}"""
    found = {}

    def add(name, kind, message):
        kinds, known = found.get(name, (set(), None))
        found[name] = (kinds | {kind}, known or message)

    for path in sorted((ROOT / "Sources").rglob("*.swift")):
        text = "\n".join(line for line in path.read_text().split("\n") if not line.strip().startswith("//"))
        direct = {match.start(2) for match in FINDING.finditer(text)}
        for match in WITH_KIND.finditer(text):
            direct.add(match.start(2))
            add(match[2], KINDS[match[1]], literal(text, match.end()))
        for match in ALONE.finditer(text):
            before = text[max(0, match.start() - 60):match.start()]
            if match.start(1) in direct or OTHER.search(match[1]) or before.endswith("== "):
                continue
            # What hands ids on does so for one kind each: unknown names, unsupported models, malformed files.
            kind = "usage" if "unknown(" in before else "unsupported" if "unsupported(" in before else "data"
            add(match[1], kind, None if match[1] in RENAMED else literal(text, match.end()))
    return found


def findings():
    """{id: (severity, {messages})}"""
    found = {}
    for path in sorted((ROOT / "Sources").rglob("*.swift")):
        text = path.read_text()
        for match in FINDING.finditer(text):
            found.setdefault(match[2], (match[1], set()))[1].add(literal(text, match.end()) or "")
    return found


def error_table():
    rows = ["| id | kind | what |", "|---|---|---|"]
    for name, (kinds, message) in sorted(ids().items()):
        rows.append(f"| `{name}` | {', '.join(sorted(kinds))} | {RENAMED.get(name) or message or ''} |")
    return "\n".join(rows) + "\n"


def finding_table():
    rows = ["| id | severity | what |", "|---|---|---|"]
    for name, (severity, messages) in sorted(findings().items()):
        rows.append(f"| `{name}` | {severity} | {'; or '.join(sorted(messages))} |")
    return "\n".join(rows) + "\n"


stale = []
for name, table in (("errors.md", error_table()), ("validation.md", finding_table())):
    path = ROOT / "Docs" / name
    page = path.read_text()
    head, rest = page.split(BEGIN)
    wanted = head + BEGIN + table + END + rest.split(END)[1]
    if page != wanted:
        stale.append(name)
    if "--check" not in sys.argv[1:]:
        path.write_text(wanted)
if stale and "--check" in sys.argv[1:]:
    sys.exit(f"not what the sources give: {', '.join(stale)}; run Docs/list-errors.py")
