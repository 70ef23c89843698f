#!/usr/bin/env python3
"""growth.py QCONVERT MODEL: gives the program inputs of one and of four times a size, and compares time and memory: what is read bounds
both. MODEL is a folder with a small model and a byte-level tokenizer.

Each case makes an input of a given size in a folder and says which arguments read it, and the exit codes that are right. One line for each,
`ok` or `FAIL`.
"""
import json
import os
import pathlib
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "Fixtures"
SECONDS = 60
# Four times the input may take so many times as long and as much memory, beyond what small inputs take anyway.
FACTOR, FREE_SECONDS, FREE_MEGABYTES = 7.0, 0.4, 24


def attempt(program, arguments):
    """Exit code, seconds of processor time, megabytes, and what was said."""
    def limits():
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    process = subprocess.Popen(
        [program, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=limits)
    said = process.stderr.read().decode(errors="replace").strip()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said


def safetensors(path, entries, size, padding=b""):
    header = json.dumps(entries).encode() + padding
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)


def text(value):
    return struct.pack("<Q", len(value)) + value


def gguf(path, tensors=0, pairs=()):
    pairs = [text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama"), *pairs]
    table = b"".join(text(b"t%d" % n) + struct.pack("<IQIQ", 1, 8, 0, 32 * n) for n in range(tensors))
    head = b"GGUF" + struct.pack("<IQQ", 3, tensors, len(pairs)) + b"".join(pairs) + table
    path.write_bytes(head + b"\0" * (-len(head) % 32) + b"\0" * (32 * tensors))


# Cases: (folder, size, model) -> arguments. The name and the right exit codes are in the table below.


def many_in_safetensors(folder, size, model):
    entries = {f"t{n}": {"dtype": "F32", "shape": [1], "data_offsets": [4 * n, 4 * n + 4]} for n in range(size)}
    safetensors(folder / "m.safetensors", entries, 4 * size)
    return ["inspect", folder / "m.safetensors"]


def many_in_gguf(folder, size, model):
    gguf(folder / "m.gguf", size)
    return ["inspect", folder / "m.gguf"]


def many_written(folder, size, model):
    many_in_safetensors(folder, size, model)
    return [folder / "m.safetensors", folder / "out.safetensors", "--scheme", "f16", "--no-report"]


def huge_array(folder, size, model):
    gguf(folder / "m.gguf", 0, [text(b"a%d" % n) + struct.pack("<IIQ", 9, 8, 1 << 31) for n in range(size)])
    return ["inspect", folder / "m.gguf"]


def nested_arrays(folder, size, model):
    gguf(folder / "m.gguf", 0, [text(b"a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * size])
    return ["inspect", folder / "m.gguf"]


def deep_header(folder, size, model):
    text = b'{"a":' + b"[" * size + b"]" * size + b"}"
    (folder / "m.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    return ["inspect", folder / "m.safetensors"]


def deep_file(name):
    def make(folder, size, model):
        shutil.copytree(model, folder / "m")
        (folder / "m" / name).write_bytes(b'{"a":' * size + b"1" + b"}" * size)
        return ["tokenize", folder / "m", "--text", folder / "m" / "config.json"] if "tokenizer" in name else ["inspect", folder / "m"]
    return make


def wide_config(folder, size, model):
    shutil.copytree(model, folder / "m")
    config = json.loads((folder / "m" / "config.json").read_text())
    (folder / "m" / "config.json").write_text(json.dumps(config | {f"key{n}": n for n in range(size)}))
    return ["inspect", folder / "m"]


def word(kind, part):
    """A text of one word, for a tokenizer of a kind."""
    def make(folder, size, model):
        (folder / "t.txt").write_text(part * size)
        tokenizer = {"sentencepiece": FIXTURES / "tokenizers" / "sentencepiece", "byte-level": FIXTURES / "tokenizers" / "byte-level"}.get(kind)
        if tokenizer is None:
            tokenizer = folder / "tokenizer.json"
            tokenizer.write_text(json.dumps(TOKENIZERS[kind]))
        return ["tokenize", tokenizer, "--text", folder / "t.txt"]
    return make


def letters():
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = iter(range(256, 512))
    return {chr(byte) if byte in visible else chr(next(other)): byte for byte in range(256)}


def split_by(expression):
    split = {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
    steps = [split, {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}]
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}, "model": {"type": "BPE", "vocab": letters(), "merges": []}}


TOKENIZERS = {
    "unigram": {"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1], ["aa", -2], ["1", -3], ["\u2581", -4]]},
                "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}},
    "word-piece": {"model": {"type": "WordPiece", "unk_token": "[UNK]", "max_input_chars_per_word": 1 << 30, "continuing_subword_prefix": "##",
                             "vocab": {"[UNK]": 0, "a": 1, "##a": 2, "1": 3, "##1": 4}}, "pre_tokenizer": {"type": "BertPreTokenizer"}},
    "digit groups": split_by(r"\p{N}+") | split_by(r"(?=(\d{3})+(?!\d))"),
    "stepped digits": split_by(r"\d{1,3}(?=(?:\d{3})*\b)"),
    "spaces at the end": split_by(r"\s+$"),
}


def dynamic(folder, size, model):
    """As many patterns as layers: both grow, so the work may grow with their product, and has a limit."""
    count = size
    entries = {}
    for n in range(count):
        for part, shape in (("qweight", [1, 8]), ("qzeros", [1, 1]), ("scales", [1, 8]), ("g_idx", [8])):
            entries[f"model.layers.{n}.mlp.up_proj.{part}"] = ({"qweight": "I32", "qzeros": "I32", "scales": "F16", "g_idx": "I32"}[part], shape)
    place, header = 0, {}
    for name, (dtype, shape) in entries.items():
        bytes = (2 if dtype == "F16" else 4)
        for length in shape:
            bytes *= length
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [place, place + bytes]}
        place += bytes
    (folder / "m").mkdir()
    safetensors(folder / "m" / "model.safetensors", header, place)
    config = json.loads((model / "config.json").read_text()) | {
        "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 8, "desc_act": False, "sym": True,
                                "dynamic": {rf"+:.*layers\.{n}[0-9]*\.mlp.*(a|b)+down": {"bits": 8} for n in range(count)}}}
    (folder / "m" / "config.json").write_text(json.dumps(config))
    return ["inspect", folder / "m"]


def aliases(folder, size, model):
    (folder / "r.yaml").write_text("a: &a [x]\nb: [" + ", ".join(["*a"] * size) + "]\n")
    return [model, folder / "out.gguf", "--recipe", folder / "r.yaml"]


def flat_yaml(folder, size, model):
    (folder / "r.yaml").write_text("scheme: q8_0\nx:\n" + "- a\n" * size)
    return [model, folder / "out.gguf", "--recipe", folder / "r.yaml"]


def views(folder, size, model):
    """A saved model whose tensors are all the same bytes."""
    storage = b"\x80\x02ccollections\nOrderedDict\n)R("
    tensor = (b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuM\x00\x04tQ"
              b"K\x00(M\x00\x04t(K\x01t\x89ccollections\nOrderedDict\n)RtR")
    pickle = storage + b"".join(b"X" + struct.pack("<I", 7) + b"t%06d" % n + tensor for n in range(size)) + b"u."
    with zipfile.ZipFile(folder / "m.bin", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("m/data.pkl", pickle)
        archive.writestr("m/data/0", b"\0" * 4096)
        archive.writestr("m/version", "3\n")
    return ["inspect", folder / "m.bin"]


CASES = [
    ("tensors in a safetensors file", many_in_safetensors, 25_000, {0}), ("tensors in a GGUF file", many_in_gguf, 25_000, {0}),
    ("tensors of an output", many_written, 5_000, {0, 65, 69}), ("arrays that claim 2^31 strings", huge_array, 20_000, {65}),
    ("nested arrays", nested_arrays, 250_000, {65}), ("levels of a header", deep_header, 250_000, {65}),
    ("levels of config.json", deep_file("config.json"), 250_000, {65}), ("levels of tokenizer.json", deep_file("tokenizer.json"), 250_000, {65}),
    ("keys of config.json", wide_config, 50_000, {0}), ("aliases of a recipe", aliases, 50_000, {78}), ("items of a recipe", flat_yaml, 20_000, {78}),
    ("views of the same bytes", views, 5_000, {0, 65, 69}), ("patterns and layers", dynamic, 250, {0}),
    ("more patterns than a configuration may have", dynamic, 1001, {65}),
    *[(f"a word of {part!r}, {kind}", word(kind, part), 500_000, {0})
      for kind in ("byte-level", "sentencepiece", "unigram", "word-piece") for part in ("a", "1", " ", "\u0301")],
    *[(f"a word of {part!r}, {kind}", word(kind, part), 200_000, {0})
      for kind, part in (("digit groups", "1"), ("stepped digits", "1"), ("spaces at the end", " "))],
]


def main():
    program, model = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    words = sys.argv[3:]
    for name, make, size, codes in CASES:
        if words and not any(word in name for word in words):
            continue
        measured, wrong = [], ""
        for factor in (1, 4):
            with tempfile.TemporaryDirectory() as folder:
                code, seconds, megabytes, said = attempt(program, make(pathlib.Path(folder), size * factor, model))
            measured.append((seconds, megabytes))
            if code not in codes:
                wrong = f"ended with {code} at {size * factor}: {said[-200:]}"
        (first, small), (second, large) = measured
        # The work of the case with two sizes is their product.
        factor = FACTOR * (4 if make is dynamic else 1)
        if not wrong and second > factor * first + FREE_SECONDS:
            wrong = f"{first:.2f} s, but {second:.2f} s for four times as much"
        if not wrong and large > FACTOR * small + FREE_MEGABYTES:
            wrong = f"{small:.0f} MB, but {large:.0f} MB for four times as much"
        figures = f"{4 * size}: {second:.2f} s, {large:.0f} MB"
        print(f"FAIL {name}: {wrong}" if wrong else f"ok {name} ({figures})", flush=True)


main()
