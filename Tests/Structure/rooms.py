#!/usr/bin/env python3
"""rooms.py FOLDER...: fails if the folders ("rooms") directly below a FOLDER of Swift code use each other in a cycle.

A room uses another if its code names a type that a file of the other declares at the top level. Names that several rooms
declare are ignored. Files directly in FOLDER are a room of their own, which may use all others. Each FOLDER is checked by
itself; one that is missing or holds no Swift code is an error. Exits with 1 if there is a cycle, and prints for each of its
arrows the names that cause it.
"""
import pathlib
import re
import sys

# Strings before comments: a string may contain "//", and a comment a quotation mark.
TEXT = re.compile(r'"""(.*?)"""|"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
DECLARATION = re.compile(
    r"^(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|final|indirect|nonisolated)\s+)*"
    r"(?:struct|class|enum|protocol|actor|typealias)\s+([A-Z]\w*)", re.MULTILINE)
TYPE = re.compile(r"\b[A-Z]\w*")
INTERPOLATION = re.compile(r"\\\(([^()]*(?:\([^()]*\)[^()]*)*)\)")


def code(path):
    """A file without comments, and of its strings only the interpolations."""
    def kept(match):
        return " ".join(INTERPOLATION.findall(match[0])) if match[0].startswith('"') else " "

    return TEXT.sub(kept, path.read_text(encoding="utf-8"))


def rooms(folder):
    """{room: {path: code}}"""
    found = {}
    for path in sorted(folder.rglob("*.swift")):
        inside = path.relative_to(folder).parts
        found.setdefault(inside[0] if len(inside) > 1 else folder.name, {})[path] = code(path)
    return found


def arrows(files):
    """{(room, used room): {names}}"""
    homes = {}
    for room, sources in files.items():
        for source in sources.values():
            for name in DECLARATION.findall(source):
                homes.setdefault(name, set()).add(room)
    home = {name: next(iter(owners)) for name, owners in homes.items() if len(owners) == 1}
    found = {}
    for room, sources in files.items():
        for source in sources.values():
            for name in set(TYPE.findall(source)):
                if home.get(name, room) != room:
                    found.setdefault((room, home[name]), set()).add(name)
    return found


def reachable(start, uses):
    """The rooms that are used from `start`, directly or through others."""
    seen, waiting = set(), [start]
    while waiting:
        for room in uses.get(waiting.pop(), ()):
            if room not in seen:
                seen.add(room)
                waiting.append(room)
    return seen


def circles(found):
    """Groups of rooms in which each room reaches all others."""
    uses = {}
    for room, used in found:
        uses.setdefault(room, set()).add(used)
    reach = {room: reachable(room, uses) for room in uses}
    groups = {frozenset(other for other in reach[room] if room in reach.get(other, ())) for room in reach if room in reach[room]}
    return sorted(sorted(group) for group in groups)


def main(names):
    if not names:
        sys.exit("rooms: name the folders to look at")
    failed = False
    for name in names:
        folder = pathlib.Path(name)
        files = rooms(folder) if folder.is_dir() else {}
        if not files:
            print(f"FAIL rooms of {name}: there is no Swift code")
            failed = True
            continue
        found = arrows(files)
        wrong = circles(found)
        for group in wrong:
            failed = True
            print(f"FAIL rooms of {name}: {', '.join(group)} use each other")
            for (room, used), what in sorted(found.items()):
                if room in group and used in group:
                    print(f"       {room} uses {used}: {', '.join(sorted(what)[:4])}")
        if not wrong:
            print(f"ok   rooms of {name}: {len(files)} rooms, {len(found)} arrows, no cycle")
    sys.exit(failed)


main(sys.argv[1:])
