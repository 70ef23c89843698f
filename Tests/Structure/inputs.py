"""The inputs of the conversions that bytes.py makes: copies of fixtures, and models that are cut or widened from them."""
import json
import pathlib
import random
import re
import shutil
import struct

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "Tests" / "Fixtures"
SHARED = ROOT.parent / "shared"
HAS_SHARED = (SHARED / "models").is_dir()


def stored(path):
    """The tensors of a safetensors file: {name: (type, shape, bytes)}."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    return {
        name: (entry["dtype"], entry["shape"], content[8 + length + entry["data_offsets"][0]:8 + length + entry["data_offsets"][1]])
        for name, entry in header.items()
    }


def store(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, (kind, shape, content) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + len(content)]}
        offset += len(content)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        out.writelines(content for _, _, content in tensors.values())


def byte_tokenizer():
    """A tokenizer of 96 tokens, for the models of Fixtures/engine: the printable characters of ASCII."""
    tokens = ["\u0120"] + [chr(code) for code in range(0x21, 0x7f)] + ["<s>"]
    spelling = {"type": "ByteLevel", "add_prefix_space": False}
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return {
        "version": "1.0", "pre_tokenizer": spelling, "decoder": spelling, "model": {"type": "BPE", "vocab": vocabulary, "merges": []}
    }


def cut(source, target, blocks):
    """The first blocks of tiny-llama."""
    target.mkdir()
    tensors = {}
    for path in sorted(source.glob("*.safetensors")):
        tensors |= stored(path)
    kept = {
        name: tensor for name, tensor in tensors.items()
        if not (found := re.search(r"\.layers\.(\d+)\.", name)) or int(found.group(1)) < blocks
    }
    store(target / "model.safetensors", kept)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copyfile(source / name, target / name)
    configuration = json.loads((source / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(configuration | {"num_hidden_layers": blocks}))


# Random BF16 weights: the upper byte is one of these, so that magnitudes are between 1/512 and 1/16.
UPPER = bytes(((0x3b, 0xbb, 0x3c, 0xbc, 0x3d, 0xbd, 0x3c, 0xbc)[value % 8]) for value in range(256))


def random_weights(count, source):
    content = bytearray(source.randbytes(2 * count))
    content[1::2] = bytes(content[1::2]).translate(UPPER)
    return bytes(content)


def widened(source, target, factor=8):
    """A model of Fixtures/engine with layers this many times as wide, of random weights, so that its rows fill super-blocks."""
    target.mkdir()
    configuration, tensors = json.loads((source / "config.json").read_text()), {}
    for key in ("hidden_size", "intermediate_size", "n_embd", "ffn_dim", "word_embed_proj_dim", "head_dim"):
        if isinstance(configuration.get(key), int):
            configuration[key] *= factor
    generator = random.Random(source.name)
    for name, (kind, shape, _) in stored(source / "model.safetensors").items():
        is_table = re.search(r"embed_tokens|lm_head|embed_positions|wte|wpe|word_embeddings\.|moe\.gate", name)
        wide = [size if place == 0 and is_table else size * factor for place, size in enumerate(shape)] or [1]
        count = wide[0] * (wide[1] if len(wide) > 1 else 1)
        is_gain = len(wide) == 1 and "norm" in name.lower() + ("norm" if ".ln_" in name else "") and name.endswith("weight")
        tensors[name] = (kind, wide, b"\x80\x3f" * count if is_gain else random_weights(count, generator))
    store(target / "model.safetensors", tensors)
    (target / "config.json").write_text(json.dumps(configuration))
    (target / "tokenizer.json").write_text(json.dumps(byte_tokenizer()))


def with_vocabulary(source, tokenizer, target):
    """A Llama of Fixtures/engine with rows of embedding and output matrix for every token of a tokenizer."""
    target.mkdir()
    for path in tokenizer.iterdir():
        if path.is_file() and path.suffix in (".json", ".model", ".txt") and path.name != "config.json":
            shutil.copyfile(path, target / path.name)
    size = 0
    if (tokenizer / "tokenizer.json").exists():
        document = json.loads((tokenizer / "tokenizer.json").read_text())
        vocabulary = document["model"].get("vocab", {})
        ids = [entry["id"] for entry in document.get("added_tokens", [])]
        ids += vocabulary.values() if isinstance(vocabulary, dict) else [len(vocabulary) - 1]
        size = max(ids) + 1
    elif (tokenizer / "vocab.json").exists():
        size = max(json.loads((tokenizer / "vocab.json").read_text()).values()) + 1
    elif (tokenizer / "tokenizer.model").exists():
        size = 700 if tokenizer.name == "sentencepiece" else 32768
    else:
        size = 1000
    tensors, generator = stored(source / "model.safetensors"), random.Random(tokenizer.name)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = ("BF16", [size, 32], random_weights(size * 32, generator))
    store(target / "model.safetensors", tensors)
    configuration = json.loads((source / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(configuration | {"vocab_size": size}))


def prepare(inputs):
    """All inputs of the rows, below `in`."""
    inputs.mkdir()
    shutil.copytree(FIXTURES / "models" / "tiny-llama", inputs / "tiny-llama")
    cut(inputs / "tiny-llama", inputs / "short", 2)
    (inputs / "text.txt").write_bytes((FIXTURES / "text" / "evaluation.txt").read_bytes()[:20_000])
    for source in sorted(path for path in (FIXTURES / "engine").iterdir() if path.is_dir()):
        target = inputs / f"engine-{source.name}"
        target.mkdir()
        for name in ("config.json", "model.safetensors"):
            shutil.copyfile(source / name, target / name)
        (target / "tokenizer.json").write_text(json.dumps(byte_tokenizer()))
        # Heads, ranks and experts of these have sizes of their own, which one factor for all dimensions does not fit.
        if not any(part in source.name for part in ("moe", "deepseek", "gpt-oss")):
            widened(source, inputs / f"wide-{source.name}")
    for source in sorted(path for path in (FIXTURES / "adapters").iterdir() if path.is_dir()):
        target = inputs / f"lora-{source.name}"
        target.mkdir()
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            shutil.copyfile(source / name, target / name)
    shutil.copytree(FIXTURES / "pytorch", inputs / "pytorch")
    (inputs / "ascii").mkdir()
    (inputs / "ascii" / "tokenizer.json").write_text(json.dumps(byte_tokenizer()))
    # The other folders here are single layers, which are not a model to convert.
    for source in sorted(path.parent for path in (FIXTURES / "golden").glob("*/forward-check.json")):
        shutil.copytree(source, inputs / f"cut-{source.name}")
    tokenizers = sorted((FIXTURES / "tokenizers").iterdir())
    if HAS_SHARED:
        for kind in ("models", "golden"):
            for source in sorted(path for path in (SHARED / kind).iterdir() if path.is_dir()):
                shutil.copytree(source, inputs / f"{kind}-{source.name}")
        tokenizers += sorted(path for path in (SHARED / "tokenizers").iterdir() if path.is_dir())
    for tokenizer in tokenizers:
        with_vocabulary(FIXTURES / "engine" / "llama3-rope", tokenizer, inputs / f"tokens-{tokenizer.name}")
