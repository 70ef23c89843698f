#!/usr/bin/env python3
"""make_seeds.py QCONVERT: makes the first inputs of each parser in Tests/Fuzz/Corpus, from the fixtures and from small files of its own.

What `fuzz-parsers` finds is added to them by `parsers.py --keep`; this script only adds what is missing.
"""
import base64
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent / "Fixtures"
CORPUS = HERE / "Corpus"
LARGEST = 8192


def keep(parser, name, data):
    if len(data) <= LARGEST:
        folder = CORPUS / parser
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def field(number, value):
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value)


def sentencepiece(kind, byte_pieces):
    """A model with a few pieces: text 1, score 2, type 3; in the trainer's settings the kind of model 3."""
    pieces = [(b"<unk>", 0.0, 2), (b"<s>", 0.0, 3), (b"</s>", 0.0, 3)]
    pieces += [(b"<0x%02X>" % byte, 0.0, 6) for byte in range(byte_pieces)]
    pieces += [(text.encode(), -float(place), 1) for place, text in enumerate(["\u2581", "a", "b", "ab", "\u2581a", "12", "\u4e2d"])]
    out = b"".join(field(1, field(1, text) + field(2, score) + field(3, type)) for text, score, type in pieces)
    return out + field(2, field(3, kind)) + field(3, field(1, b"identity") + field(3, 1) + field(4, 1) + field(5, 1))


def alphabet():
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = iter(range(256, 512))
    return [chr(byte) if byte in visible else chr(next(other)) for byte in range(256)]


def tokenizers():
    letters = alphabet()
    words = [letters[byte] for byte in range(256)] + ["on", "once", "12"]
    base = {"version": "1.0", "added_tokens": [{"id": 259, "content": "<s>", "special": True, "lstrip": True, "rstrip": False, "normalized": False}]}
    split = {"type": "Split", "pattern": {"Regex": r"\p{L}+|\d{1,3}(?=(?:\d{3})*\b)|\s+(?!\S)|\s+"}, "behavior": "Isolated", "invert": False}
    yield "byte-level", base | {
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}]},
        "model": {"type": "BPE", "vocab": {word: id for id, word in enumerate(words)}, "merges": ["o n", ["1", "2"]]}}
    few = {"<unk>": 0, "\u2581": 1, "a": 2, "b": 3, "ab": 4, "<0x0A>": 5}
    yield "sentencepiece", base | {
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        "model": {"type": "BPE", "byte_fallback": True, "unk_token": "<unk>", "fuse_unk": True, "vocab": few, "merges": ["a b"]}}
    yield "unigram", base | {
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["\u2581", -1.0], ["a", -2.5], ["ab", -3.0]]}}
    yield "word-piece", base | {
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                  "vocab": {"[UNK]": 0, "[CLS]": 1, "a": 2, "##b": 3, "once": 4}}}


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        for kind in ("st", "gg"):
            (work / kind).mkdir()
        subprocess.run([sys.executable, FIXTURES / "malformed" / "generate.py"], cwd=work, check=True, stdout=subprocess.DEVNULL)
        for path in sorted((work / "st").glob("*.safetensors")):
            data = path.read_bytes()
            keep("safetensors", path.stem, data)
            length = int.from_bytes(data[:8], "little")
            if length < len(data):
                keep("json", path.stem, data[8:8 + length])
        for path in sorted((work / "gg").glob("*.gguf")):
            keep("gguf", path.stem, path.read_bytes())
        subprocess.run([sys.executable, HERE.parent / "EndToEnd" / "make_inputs.py", work / "in"], check=True, stdout=subprocess.DEVNULL)
        for extension, parser in (("gguf", "imatrix-gguf"), ("dat", "imatrix-dat")):
            target = work / f"importance.{extension}"
            done = subprocess.run([program, "calibrate", work / "in" / "good", target, "--samples", "2", "--context", "16", "-q"], check=False)
            if done.returncode == 0:
                keep(parser, "calibrated", target.read_bytes()[:LARGEST])
        entry = struct.pack("<I", 7) + b"blk.0.q" + struct.pack("<II4f", 2, 4, 1, 2, 0, 4)
        keep("imatrix-dat", "small", struct.pack("<I", 1) + entry + struct.pack("<II", 2, 4) + b"text")

        def pair(key, type, value):
            return struct.pack("<Q", len(key)) + key + struct.pack("<I", type) + value

        def text(value):
            return struct.pack("<Q", len(value)) + value

        def tensors(entries, pairs):
            out = b"GGUF" + struct.pack("<IQQ", 3, len(entries), len(pairs)) + b"".join(pairs)
            data = b""
            for name, dims, values in entries:
                out += text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", 0, len(data))
                data += struct.pack(f"<{len(values)}f", *values)
                data += b"\0" * (-len(data) % 32)
            return out + b"\0" * (-len(out) % 32) + data

        kinds = [pair(b"general.type", 8, text(b"imatrix")), pair(b"imatrix.datasets", 9, struct.pack("<IQ", 8, 1) + text(b"a.txt")),
                 pair(b"imatrix.chunk_count", 4, struct.pack("<I", 2))]
        keep("imatrix-gguf", "small", tensors([(b"a.in_sum2", [4], [1, 2, 3, 4]), (b"a.counts", [1], [2])], kinds))
        words = [b"<unk>", b"a", b"b", b"ab"]
        vocabulary = [pair(b"general.architecture", 8, text(b"llama")), pair(b"tokenizer.ggml.model", 8, text(b"llama")),
                      pair(b"tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 4) + b"".join(map(text, words))),
                      pair(b"tokenizer.ggml.scores", 9, struct.pack("<IQ4f", 6, 4, 0, -1, -2, -3)),
                      pair(b"tokenizer.ggml.token_type", 9, struct.pack("<IQ4i", 5, 4, 2, 1, 1, 1))]
        keep("gguf", "vocabulary", tensors([(b"token_embd.weight", [4, 2], range(8))], vocabulary))
        statistics = {
            "__metadata__": {"qconvert.statistics": "2", "qconvert.statistics.model": "m", "qconvert.statistics.kinds": "mean_absolute mean_square range gram",
                             "qconvert.statistics.text": "user 2 16 100 aa bb"},
            "blocks.0.attention.input.tokens": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}
        place = 8
        for name, count in (("mean_absolute", 4), ("mean_square", 4), ("minimum", 4), ("maximum", 4), ("gram", 16)):
            statistics[f"blocks.0.attention.input.{name}"] = {
                "dtype": "F32", "shape": [4, 4] if count == 16 else [4], "data_offsets": [place, place + 4 * count]}
            place += 4 * count
        header = json.dumps(statistics).encode()
        header += b" " * (-len(header) % 8)
        keep("statistics", "small", struct.pack("<Q", len(header)) + header + struct.pack("<q32f", 7, *range(32)))
    for folder in ("good", "bad"):
        for path in sorted((FIXTURES / "pytorch" / folder).glob("*.bin")):
            keep("zip", path.stem, path.read_bytes())
            try:
                with zipfile.ZipFile(path) as archive:
                    for name in archive.namelist():
                        if name.endswith("data.pkl"):
                            keep("pickle", path.stem, archive.read(name))
            except Exception:  # many of them are no archives for Python
                pass
    for name, tokenizer in tokenizers():
        keep("tokenizer-json", name, json.dumps(tokenizer, ensure_ascii=False))
        keep("json", name, json.dumps(tokenizer, indent=1)[:LARGEST])
    for name, kind, count in (("unigram", 1, 0), ("bpe", 2, 0), ("bytes", 2, 256)):
        keep("sentencepiece", name, sentencepiece(kind, count))
    tokens = [bytes([byte]) for byte in range(256)] + [b"on", b"once", b" a", b"12"]
    keep("tiktoken", "small", b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens)))
    keep("tiktoken", "few", b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate([b"a", b"b", b"ab", b"abab"])))
    few = tokens[:4] + [b"ab"]
    pattern = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    keep("tekken", "small", json.dumps({
        "config": {"pattern": pattern, "num_vocab_tokens": 8, "default_vocab_size": 8, "default_num_special_tokens": 3},
        "vocab": [{"rank": rank, "token_bytes": base64.b64encode(token).decode(), "token_str": None} for rank, token in enumerate(few)],
        "special_tokens": [{"rank": 0, "token_str": "<unk>", "is_control": True}]}))
    patterns = set(re.findall(r'#+"([^"\n]{3,400})"#+', (HERE.parents[1] / "Sources/QuantCore/Text/Tokenizers/KnownPreTokenizers+Patterns.swift").read_text()))
    patterns |= {r".*lm_head", r"model\.layers\.(0|1)\..*proj$", r"^(?!.*head).*$", r"(?=(\d{3})+(?!\d))", r"(a|aa)+!", r"a{2,3}?$", r"(?i:ab)[^x-z]\b"}
    for number, pattern in enumerate(sorted(patterns)):
        keep("expression", f"{number:02}", pattern + "\nmodel.layers.0 don't 12345  \n aaab")
    keep("recipe", "full", "scheme: q4_k_m\nmethods:\n  - awq: {grid: 4}\n  - gptq\ntensors:\n  rules: {'*.weight': f16}\ncalibration:\n  samples: 2\n  files: [a.txt]\n")
    keep("recipe", "aliases", "a: &a [x, y]\nb: *a\nc: [*a, *a]\n? [k]\n: v\n--- |\n text\n")
    for path in sorted((HERE.parents[1] / "Examples").rglob("*.yaml")) + sorted((HERE.parents[1] / "Docs").rglob("*.yaml")):
        keep("recipe", path.stem, path.read_bytes())
    keep("model-card", "small", "---\nlicense: mit\nlanguage:\n- no\n- en\ntags: [a, b]\nlicense: apache-2.0\nbase_model: x/y\n\tx: 1\n---\n# Title\n")
    keep("journal", "small", '\n'.join([
        '{"run":{"program":"1","input":"x"}}', '{"tensor":0,"name":"a","scheme":"q8_0","hashes":["' + "0" * 32 + '"],"error":0.5,"seconds":null}',
        '{"block":0,"hidden":null,"notes":["n"],"tensors":[{"tensor":1,"name":"b","scheme":"f16","hashes":[],"expert_tokens":[1,2]}]}', '{"complete":true}']))
    print(f"{sum(1 for path in CORPUS.rglob('*') if path.is_file())} inputs in {CORPUS}")


main()
