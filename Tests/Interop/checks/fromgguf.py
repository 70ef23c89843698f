"""Folders made from a GGUF alone: transformers loads them, and they have the model and the tokenizer that the GGUF was made from."""
import functools

import torch
import transformers
from transformers import CompressedTensorsConfig

from checks.logits import deviation, f32_gguf, own_logits
from checks.tokens import MODELS, hard_strings
from clients import WORK, convert, llama_convert
from models import (
    EVALUATION_TEXT, GGUF_MODELS, TINY_LLAMA, load, random_ids, random_model, split, text_weights, transformers_logits)
from registry import check, require


@functools.cache
def rebuilt(name):
    """A folder made from the F32 GGUF of a random model."""
    return convert(f32_gguf(name), WORK / f"{name}.rebuilt", "--scheme", "f32")


def difference(name, folder):
    """How far a folder's logits are from those of the random model."""
    ids = random_ids(name)
    return deviation(transformers_logits(folder, ids).numpy().ravel(), transformers_logits(random_model(name), ids))


def is_same(name, key, a, b):
    """Whether a weight came back. Logarithms of exponentials do so up to rounding; a GGUF has Falcon-H1's factors in its weights."""
    return name == "falcon-h1" or (torch.allclose(a, b, rtol=1e-6, atol=1e-7) if key.endswith("A_log") else torch.equal(a, b))


@check("weights of {}: a folder made from its GGUF has those of the original folder", **split(GGUF_MODELS))
def weights(name):
    expected, found = text_weights(load(random_model(name))), text_weights(load(rebuilt(name)))
    require(expected.keys() == found.keys(), f"other tensors: {sorted(expected.keys() ^ found.keys())[:4]}")
    differing = [key for key in expected if not is_same(name, key, expected[key], found[key])]
    require(not differing, f"{len(differing)} tensors differ, such as {differing[:3]}")
    measured = difference(name, rebuilt(name))
    require(measured < 1e-5, f"deviation {measured:.1e}")
    return f"{len(expected)} tensors, logits {measured:.1e}"


@check("weights of {}: a folder made from the GGUF of llama.cpp's converter has those of the original", ["llama-gqa-tied", "gpt2", "bloom"])
def weights_from_converter(name):
    source = llama_convert(random_model(name), WORK / f"{name}.converter.gguf", "f32")
    folder = convert(source, WORK / f"{name}.from-converter", "--scheme", "f32")
    measured = difference(name, folder)
    require(measured < 1e-5, f"deviation {measured:.1e}")
    return f"logits {measured:.1e}"


@check("tokens of {}: the tokenizer of a folder made from its GGUF gives the same ids", MODELS)
def tokens(tokenizer):
    name = MODELS[tokenizer]
    own = transformers.AutoTokenizer.from_pretrained(rebuilt(name))
    theirs = transformers.AutoTokenizer.from_pretrained(random_model(name))
    texts = [EVALUATION_TEXT.read_text()[:20000], *hard_strings(tokenizer, 1)]
    for text in texts:
        expected = theirs.encode(text, add_special_tokens=False)
        found = own.encode(text, add_special_tokens=False)
        require(found == expected, f"{text[:40]!r} gives {found[:12]} instead of {expected[:12]}")
        require(own.decode(found) == theirs.decode(expected), f"{text[:40]!r} decodes to something else")
    for key in ("bos_token_id", "eos_token_id", "chat_template"):
        require(getattr(own, key) == getattr(theirs, key), f"{key} is {getattr(own, key)!r} instead of {getattr(theirs, key)!r}")
    require(own.encode("two words") == theirs.encode("two words"), "special tokens around a text differ")
    return f"{len(texts)} texts"


@check("a folder made from a {} GGUF computes what the GGUF computes", ["q4_k_m", "q8_0"])
def quantized(scheme):
    source = convert(TINY_LLAMA, WORK / f"tiny-llama.{scheme}.source.gguf", "--scheme", scheme)
    folder = convert(source, WORK / f"tiny-llama.{scheme}.folder", "--scheme", "f32")
    ids = torch.randint(0, 4096, (64,)).tolist()
    path = WORK / "folder.ids"
    path.write_text(" ".join(map(str, ids)))
    measured = deviation(own_logits(source, path), transformers_logits(folder, ids))
    require(measured < 1e-4, f"deviation {measured:.1e}")
    return f"{measured:.1e}"


@check("a GGUF quantized into a folder as {} gives qconvert's logits in transformers", ["w4a16"])
def quantized_folder(scheme):
    source = convert(TINY_LLAMA, WORK / "tiny-llama.f16.source.gguf", "--scheme", "f16")
    folder = convert(source, WORK / f"tiny-llama.f16.{scheme}", "--scheme", scheme)
    ids = torch.randint(0, 4096, (64,)).tolist()
    path = WORK / "folder.ids"
    path.write_text(" ".join(map(str, ids)))
    expected = transformers_logits(folder, ids, quantization_config=CompressedTensorsConfig(run_compressed=False))
    measured = deviation(own_logits(folder, path), expected)
    require(measured < 1e-4, f"deviation {measured:.1e}")
    return f"{measured:.1e}"
