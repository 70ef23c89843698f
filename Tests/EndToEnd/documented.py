#!/usr/bin/env python3
"""documented.py QCONVERT: runs every command line of qconvert in README.md and Docs, and checks that every option they name exists.

In a folder with a small model under all names that the pages use, conversions are planned and everything else runs on a few tokens.
The other programs of a pipe or a list run as they are, except jq if it is missing. Prints one line per page.
"""
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "Tests" / "Fixtures"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`(qconvert [^`\n]*)`")
# Placeholders, and what replaces them.
PLACEHOLDERS = {
    "MODEL": "model", "IN": "model", "PATH": "model", "OUT": "out", "X.gguf": "x.gguf", "FILE": "test.txt", "SCHEME": "int4-g128",
    "METHOD": "rtn", "ADAPTER": "adapter", "NAME": "q4_k", "…": "",
}
MODELS = ["model", "models/tiny-llama", "tiny-llama", "tiny-llama-outlier"]
TEXTS = ["text.txt", "test.txt", "calibration.txt", "wikitext2-valid.txt", "text/calibration.txt", "text/wikitext2-valid.txt"]
# A plan writes nothing: commands that read these outputs read another file instead.
WRITTEN = {"out": "model", "smoothed": "model", "model.gguf": "model.f16.gguf", "out.gguf": "model.f16.gguf", "out/adapter": "adapter"}
# Options of other programs.
FOREIGN = {"--all", "--chunks", "--only", "--imatrix", "--kl-divergence", "--no-ppl", "--outtype", "--explicit-target-dependency-import-check"}
OTHERS = {
    "eval", "generate", "tokenize", "logits", "calibrate", "analyze", "inspect", "validate", "compare", "plugins", "plugin", "plan",
}
# Options that make a command quick.
FEW = {"eval": ["--windows", "1", "--context", "32"], "generate": ["--tokens", "1"], "calibrate": ["--samples", "1", "--context", "32"],
       "analyze": ["--samples", "1", "--context", "32", "--windows", "1"]}


def without(arguments, options):
    """The arguments without these options and their values."""
    kept, skips = [], False
    for word in arguments:
        if skips:
            skips = False
        elif word in options and word.startswith("--"):
            skips = True
        else:
            kept.append(word)
    return kept


def stand_in(arguments):
    """Runs in place of `qconvert ARGUMENTS`: returns the exit code; errors are appended to a file."""
    program, log = os.environ["REAL_QCONVERT"], os.environ["LOG"]
    words = [word for word in arguments if not word.startswith("-")]
    command = next((word for word in words[:1] if word in OTHERS or word == "convert"), "convert")
    if command in FEW:
        arguments = without(arguments, FEW[command]) + FEW[command]
    if command == "analyze":
        arguments = ["other.analysis.json" if word == "model.analysis.json" else word for word in arguments]
    if command in ("eval", "generate", "compare"):
        arguments = [WRITTEN.get(word, word) for word in arguments]
    if command == "convert" and not {"--help", "--version", "--dump-recipe"} & set(arguments):
        arguments = ["plan"] + [word for word in arguments if word != "convert"]
    if len(words) == 1 and command not in ("convert", "plugins"):
        arguments = [command, "--help"]
    done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    sys.stdout.buffer.write(done.stdout)
    if done.returncode not in (0, 10):
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"'qconvert {' '.join(arguments)}' ended with {done.returncode}: {done.stderr.decode()[-200:].strip()}\n")
    return done.returncode


def command_lines(page):
    """Every command line of qconvert on a page, in code blocks and in sentences."""
    text = page.read_text(encoding="utf-8")
    for block in (block for language, block in BLOCK.findall(text) if language in ("", "sh")):
        for line in block.replace("\\\n", " ").splitlines():
            if re.match(r"(\$ )?qconvert ", line):
                yield line.removeprefix("$ ")
    for line in INLINE.findall(BLOCK.sub("", text)):
        if "→" not in line:
            yield re.sub(r"[\[\]]", "", line)


def make_adapter(folder):
    """A LoRA adapter of the model that changes nothing."""
    layer, tensors = "base_model.model.model.layers.0.self_attn.q_proj.lora_", {}
    for name, shape, start in (("A", [2, 256], 0), ("B", [256, 2], 2048)):
        tensors[f"{layer}{name}.weight"] = {"dtype": "F32", "shape": shape, "data_offsets": [start, start + 2048]}
    header = json.dumps(tensors).encode()
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4096))
    (folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}), encoding="utf-8")


def write_tokenizer(folder):
    """One of as many characters as the embeddings of small models have rows."""
    tokens = ["\u0120"] + [chr(code) for code in range(0x21, 0x7E)] + ["}}", "<s>"]
    spelling = {"type": "ByteLevel", "add_prefix_space": False}
    model = {"type": "BPE", "vocab": {token: number for number, token in enumerate(tokens)}, "merges": ["} }"]}
    (folder / "tokenizer.json").write_text(
        json.dumps({"version": "1.0", "pre_tokenizer": spelling, "decoder": spelling, "model": model}), encoding="utf-8")


def make_pictures(folder):
    """A model with a tower for images."""
    shutil.copytree(FIXTURES / "engine" / "qwen2.5-vl", folder)
    write_tokenizer(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}), encoding="utf-8")


def make_predicting(folder):
    """A model whose last block is followed by one that predicts a further token, with the weights of the last."""
    shutil.copytree(FIXTURES / "engine" / "glm4-moe", folder)
    data = (folder / "model.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, values = json.loads(data[8:8 + length]), data[8 + length:]
    further = {name.replace("layers.1.", "layers.2."): dict(entry) for name, entry in header.items() if ".layers.1." in name}
    shapes = {"eh_proj": [32, 64], "enorm": [32], "hnorm": [32], "shared_head.norm": [32]}
    further |= {f"model.layers.2.{name}.weight": {"dtype": "BF16", "shape": shape} for name, shape in shapes.items()}
    for name, entry in further.items():
        bytes_ = values[slice(*entry["data_offsets"])] if "data_offsets" in entry else bytes(2 * math.prod(entry["shape"]))
        entry["data_offsets"] = [len(values), len(values) + len(bytes_)]
        values += bytes_
    text = json.dumps(header | further).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + values)
    stated = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(stated | {"num_nextn_predict_layers": 1}), encoding="utf-8")
    write_tokenizer(folder)


def prepare(folder, program):
    """Makes the files that the pages name, and a wrapper that precedes the real program in PATH."""
    for name in TEXTS + MODELS:
        (folder / name).parent.mkdir(exist_ok=True)
        source = FIXTURES / "text" / "evaluation.txt" if name in TEXTS else FIXTURES / "models" / "tiny-llama"
        (folder / name).symlink_to(source)
    (folder / "qconvert").symlink_to(ROOT)
    for name, scheme in (("model.f16.gguf", "f16"), ("model.Q4_K_M.gguf", "q4_k_m"), ("parts.gguf", "q8_0")):
        split = ["--shard-size", "4MB"] if name == "parts.gguf" else []
        subprocess.run([program, "model", name, "--scheme", scheme, "--quiet", "--no-report", *split], cwd=folder, check=True)
    subprocess.run(
        [program, "analyze", "model", "-o", "model.analysis.json", "--prefer", "q3_k,q4_k,q6_k", "--calibration", "text.txt", *FEW["analyze"],
         "--quiet"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([program, "model", "model-gptq", "--scheme", "int4-g128", "--packing", "gptq", "--quiet"], cwd=folder, check=True)
    for name in ("f16.gguf", "big.gguf", "in.gguf", "mmproj.gguf"):
        (folder / name).symlink_to(folder / "model.f16.gguf")
    make_adapter(folder / "adapter")
    make_pictures(folder / "qwen2.5-vl")
    make_predicting(folder / "glm-4.5-air")
    recipe = re.search(r"^```yaml\n(.*?)^```$", (ROOT / "Docs" / "recipes.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (folder / "recipe.yaml").write_text(recipe[1], encoding="utf-8")
    programs = folder / ".bin"
    programs.mkdir()
    (programs / "qconvert").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" --stand-in "$@"\n', encoding="utf-8")
    (programs / "qconvert").chmod(0o755)
    if not shutil.which("jq"):
        (programs / "jq").write_text("#!/bin/sh\nexec cat\n", encoding="utf-8")
        (programs / "jq").chmod(0o755)


def run(line, folder, environment):
    """The errors of a command line."""
    for word, meant in PLACEHOLDERS.items():
        line = re.sub(rf"(?<![\w./-]){re.escape(word)}(?![\w./-])", meant, line)
    log = folder / ".log"
    log.write_text("", encoding="utf-8")
    # Each line runs by itself: what it writes is gone for the next.
    working = folder / "work"
    working.mkdir()
    for entry in folder.iterdir():
        if entry != working:
            (working / entry.name).symlink_to(entry)
    try:
        subprocess.run(
            ["bash", "-c", line], cwd=working, env={**environment, "LOG": str(log)}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=120, check=False)
    finally:
        shutil.rmtree(working)
    return log.read_text(encoding="utf-8").splitlines()


def known_options(program):
    """Every option that the help texts name."""
    text = "".join(
        subprocess.run([program, *command, "--help"], stdout=subprocess.PIPE, check=True).stdout.decode()
        for command in [[], ["convert"], *([name] for name in OTHERS - {"plugin"}), ["plugin", "new"]])
    return set(re.findall(r"--[a-z][a-z-]*[a-z]", text))


def unknown_options(page, known):
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z](?!-)", page.read_text(encoding="utf-8"))) - FOREIGN
    return sorted(name for name in named - known if name.replace("--no-", "--") not in known)


def wrong_remedies(known):
    """An error for each setting or command that a remedy in the sources names and the program does not have."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "Sources").rglob("*.swift"))
    settings = {"--" + name for name in re.findall(r'\\\(setting: "([^"]+)"\)', text)}
    commands = {words.split()[0] for words in re.findall(r'\\\(command: "([^"]+)"\)', text)}
    assert settings and commands
    return [f"remedies name {name}" for name in sorted((settings - known) | (commands - OTHERS))]


def wrong_methods(program):
    """An error if the README's list of methods is not the program's."""
    listed = re.search(r"^\| methods \| (.*) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    said = subprocess.run([program, "plugins", "--json"], stdout=subprocess.PIPE, check=True).stdout.decode()
    methods = set(re.findall(r'"axis":\s*"method",\s*"id":\s*"([^"]+)"', said))
    written = set(re.findall(r"`([^`]+)`", listed[1]))
    return [f"the methods are {sorted(methods)}"] if written != methods else []


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    known, failed = known_options(program), False
    with tempfile.TemporaryDirectory() as path:
        folder = pathlib.Path(path)
        prepare(folder, program)
        environment = {"PATH": f"{folder}/.bin:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "TERM": "dumb", "REAL_QCONVERT": program}
        docs = ROOT / "Docs"
        for page in [ROOT / "README.md", *sorted(docs.glob("*.md")), *sorted((docs / "plugins").glob("*.md"))]:
            lines = list(command_lines(page))
            wrong = [sentence for line in lines for sentence in run(line, folder, environment)]
            wrong += [f"no command has the option {name}" for name in unknown_options(page, known)]
            if page.name == "README.md":
                wrong += wrong_methods(program) + wrong_remedies(known)
            failed = failed or bool(wrong)
            name = f"{len(lines)} command lines and the options in {page.relative_to(ROOT)}"
            print(f"FAIL {name}: {'; '.join(wrong)}" if wrong else f"ok   {name}")
    sys.exit(failed)


if sys.argv[1:2] == ["--stand-in"]:
    sys.exit(stand_in(sys.argv[2:]))
main()
