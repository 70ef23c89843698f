#!/usr/bin/env python3
"""No file of the core names a format, and no format names a family: each fact is in the plug-in that owns it.

Usage: names.py [ROOT]   (default: the checkout that holds this file)
Comments are ignored. Prints one line per check; the last line is "N passed, N failed". Exit status 1 if a name is found, or if an
exception is listed that is no longer needed.
"""
import os
import re
import sys

# Formats and their authors, in any part of an identifier or a text.
CONTAINERS = re.compile(
    r"gguf|huggingface|hugging face|safetensors|llama\.?cpp|tokenizer\.ggml|(?<=[\"'])general\."
    # Files and keys of folders, and names of tensors.
    r"|config\.json|quantization_config|quantize_config|qweight|embed_tokens|token_embd|lm_head", re.I)

# File: names that it may contain, and why.
CORE_EXCEPTIONS = {
    "Base/Files/WrongKind.swift": (
        ["GGUF", "gguf", "safetensors"], "the one table of files that users give by mistake, and what to do with them"),
    "Engine/Evaluation/Evaluation.swift": (["llamaCpp", "llama.cpp"], "an evaluation protocol is named after its tool"),
    "Model/Formats/MetadataEdit.swift": (["general."], "an example of a key, as users type it"),
    "Model/Presets/LinearLayerNames.swift": (["lm_head"], "words in names that say what a tensor is, for models without a family"),
    "Model/Registry/Opening.swift": (["config.json"], "remedies name the file that people must give"),
    "Text/Tokenizers/ConfigurationFiles.swift": (["config.json"], "the files of a tokenizer are in a folder, whatever the weights are in"),
    "Model/Packings/PlainPacking.swift": (["huggingface", "safetensors"], "the address of a specification"),
}
# Sentences that may spell an option, because nobody asked for it and a warning or a note explains it. Remedies of errors name settings as
# values (`Remedy`), which a program spells.
OPTION = re.compile(r'--[a-z][a-z-]+')
OPTION_EXCEPTIONS = {
    "QuantCore/Conversion/Planning/LoudChannels.swift": (["--quality"], "a warning"),
    "QuantCore/Conversion/Planning/Observation.swift": (["--calibration"], "a warning"),
    "QuantCore/Conversion/Planning/TowerRequest.swift": (["--mmproj"], "a warning"),
    "QuantCore/Conversion/Running/StatisticsRun.swift": (["--propagate"], "a warning"),
    "Plugins/Formats/GGUF/GGUFLayout.swift": (["--pre"], "a warning"),
}
FORMAT_EXCEPTIONS = {
    "GGUF/GGUFTokenizer.swift": (["bert", "gpt2", "llama"], "what llama.cpp calls kinds of tokenizers"),
    "GGUF/GGUFModelChecks.swift": (["gpt2"], "the same"),
    "GGUF/GGUFMergedPieces.swift": (["gemma4"], "the same"),
    "GGUF/ScaledStorage.swift": (["gemma4"], "an architecture of llama.cpp whose tensors have names that mean something else elsewhere"),
    "GGUF/GGUFLayout.swift": (["gpt2"], "the same"),
    "GGUF/Mixes/Mix.swift": (["falcon"], "llama-quantize decides by names of architectures"),
    "GGUF/Mixes/MixRule.swift": (["falcon"], "the same"),
    "MLX/MLX.swift": (["afmoe", "dots1"], "mlx-lm decides by the types of models how it loads experts"),
    "GGUF/Mixes/MixFacts.swift": (["jais2", "llama", "olmo", "qwen2"], "llama-quantize decides by names of architectures"),
}


def swift_files(folder):
    for path, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.endswith(".swift"):
                yield os.path.join(path, name)


def code(text):
    """The text without comments. Two slashes inside a string, as in an address, do not begin a comment."""
    parts = re.findall(r'"""(?:.|\n)*?"""|#"[^\n]*?"#|"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*(?:.|\n)*?\*/|.|\n', text)
    return "".join(part for part in parts if not part.startswith(("//", "/*")))


def read(path):
    with open(path, encoding="utf-8") as file:
        return code(file.read())


def check(title, folder, pattern, exceptions, others=()):
    """Prints one line per file with forbidden names, and one per unneeded exception. Returns how many there were."""
    failed = 0
    for path in swift_files(folder):
        relative = os.path.relpath(path, folder).replace(os.sep, "/")
        if relative.startswith(tuple(others)):
            continue
        # A plug-in's own id names nothing else, even if other plug-ins have the same id.
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
            print(f"FAIL {title}: an exception for {relative}, which does not exist")
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
        check("the core names no format", os.path.join(source, "QuantCore"), CONTAINERS, CORE_EXCEPTIONS),
        check("errors of the core spell no option", source, OPTION, OPTION_EXCEPTIONS, ["qconvert", "QuantCore/Text/Calibration"]),
        check("formats name no family", os.path.join(source, "Plugins/Formats"), family, FORMAT_EXCEPTIONS),
    ]
    failed = sum(1 for count in results if count)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")))
