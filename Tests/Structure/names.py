#!/usr/bin/env python3
"""No file of the core names a container, and no format names a family: each fact stands in the plug-in that owns it.

Usage: names.py [ROOT]   (default: the checkout that holds this file)
Comments are not looked at. Prints one line per check; the last line is "N passed, N failed". Exit status 1 where a name is found, or
where an exception is listed that nobody needs any more.
"""
import os
import re
import sys

# Containers, and who made them up, in any part of an identifier or a text.
CONTAINERS = re.compile(r"gguf|huggingface|hugging face|safetensors|llama\.?cpp|tokenizer\.ggml|(?<=[\"'])general\.", re.I)

# File: names that it may have, and why.
CORE_EXCEPTIONS = {
    "Base/Files/WrongKind.swift": (
        ["GGUF", "gguf", "safetensors"], "the one table of files that people hand over by mistake, and what to do with them"),
    "Engine/Evaluation/Evaluation.swift": (["llamaCpp", "llama.cpp"], "a way to score a text is called after the tool that has it"),
    "Model/Formats/MetadataEdit.swift": (["general."], "an example of a key, as people type it"),
    "Model/Packings/PlainPacking.swift": (["huggingface", "safetensors"], "the address of a specification"),
}
FORMAT_EXCEPTIONS = {
    "GGUF/GGUFTokenizer.swift": (["gpt2", "llama"], "what llama.cpp calls kinds of tokenizers"),
    "GGUF/GGUFModelChecks.swift": (["gpt2"], "likewise"),
    "GGUF/Mixes/MixFacts.swift": (["llama", "qwen2"], "llama-quantize decides by names of architectures"),
}


def swift_files(folder):
    for path, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.endswith(".swift"):
                yield os.path.join(path, name)


def code(text):
    """The text without comments. Two slashes inside of a string, as in an address, begin none."""
    parts = re.findall(r'"""(?:.|\n)*?"""|#"[^\n]*?"#|"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*(?:.|\n)*?\*/|.|\n', text)
    return "".join(part for part in parts if not part.startswith(("//", "/*")))


def read(path):
    with open(path, encoding="utf-8") as file:
        return code(file.read())


def check(title, folder, pattern, exceptions):
    """One line per file with names that it may not have, and per exception without need. Returns how many there were."""
    failed = 0
    for path in swift_files(folder):
        relative = os.path.relpath(path, folder).replace(os.sep, "/")
        # A plug-in's own id names nothing else, whatever else has it.
        text = re.sub(r'static let id = "[^"]*"', "", read(path))
        found = {match.group(0).strip('"') for match in pattern.finditer(text)}
        allowed, reason = exceptions.get(relative, ([], ""))
        strange = found - set(allowed)
        if strange:
            failed += 1
            print(f"FAIL {title}: {relative} names {', '.join(sorted(strange))}")
        if set(allowed) - found:
            failed += 1
            print(f"FAIL {title}: {relative} needs no exception for {', '.join(sorted(set(allowed) - found))} ({reason})")
    for relative in exceptions:
        if not os.path.exists(os.path.join(folder, relative)):
            failed += 1
            print(f"FAIL {title}: an exception for {relative}, which is not there")
    if not failed:
        print(f"ok   {title}")
    return failed


def families(folder):
    """Ids of the families, as their plug-ins state them."""
    ids = set()
    for path in swift_files(folder):
        ids |= set(re.findall(r'static let id = "([^"]+)"', read(path)))
    return ids


def main(root):
    source = os.path.join(root, "Sources")
    ids = families(os.path.join(source, "Plugins/Families"))
    if not ids:
        print("FAIL no family states its id\n0 passed, 1 failed")
        return 1
    family = re.compile('"(?:' + "|".join(re.escape(name) for name in sorted(ids)) + ')"')
    results = [
        check("the core names no container", os.path.join(source, "QuantCore"), CONTAINERS, CORE_EXCEPTIONS),
        check("formats name no family", os.path.join(source, "Plugins/Formats"), family, FORMAT_EXCEPTIONS),
    ]
    failed = sum(1 for count in results if count)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")))
