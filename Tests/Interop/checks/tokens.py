"""The same token ids as the libraries that the tokenizers come from."""
import json

import sentencepiece
import tokenizers

from clients import WORK, llama, qconvert, shared
from models import EVALUATION_TEXT, random_model
from registry import check, require
from checks.logits import f32_gguf
from multilingual import multilingual_text

# Tokenizer: a random model that has it. The engine is not needed, but users have models.
MODELS = {
    "gpt2": "llama-mha", "cl100k": "llama3-rope", "qwen2": "qwen2-tied", "mistral-7b": "llama-gqa-tied",
    "mistral-v3-model-only": "mistral-model-only", "phi-3": "phi-3-tokenizer",
}
HARD_STRINGS = 24


def hard_strings(tokenizer, step):
    """Every `step`-th string in the list of difficult ones."""
    lines = shared(f"tokenizers/{tokenizer}/expected.jsonl").read_text().splitlines()
    return [json.loads(line)["text"] for line in lines][::step]


def library(folder):
    """A function from text to ids that recognises special tokens in the text and adds none."""
    if (folder / "tokenizer.json").exists():
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    return sentencepiece.SentencePieceProcessor(str(folder / "tokenizer.model")).encode


def write_text(text):
    path = WORK / "text.txt"
    path.write_bytes(text.encode())
    return path


def compare(tokenizer, step):
    folder = random_model(MODELS[tokenizer])
    encode = library(folder)
    texts = [EVALUATION_TEXT.read_bytes().decode(), *hard_strings(tokenizer, step)]
    for text in texts:
        own = json.loads(qconvert("tokenize", folder, "--text", write_text(text), "--bos", "off", "--json"))["ids"]
        require(own == encode(text), f"{text[:40]!r} gives {own[:12]} instead of {encode(text)[:12]}")
    return f"{len(texts)} texts"


@check("tokens of {} equal the library's", MODELS)
def equal(tokenizer):
    return compare(tokenizer, 18)


@check("tokens of {} equal the library's on every difficult string", MODELS, slow=True)
def all_equal(tokenizer):
    return compare(tokenizer, 1)


@check(
    "tokens of {} equal the library's on a multilingual text", ["bert-uncased", "t5-small"],
    ["gpt2", "cl100k", "qwen2", "deepseek", "falcon", "clip", "whisper", "mistral-7b", "phi-3"])
def equal_on_multilingual(tokenizer):
    source = shared(f"tokenizers/{tokenizer}/tokenizer.json")
    shared("text/wikitext2-test.txt")
    text = multilingual_text()
    reference = tokenizers.Tokenizer.from_file(str(source))
    reference.no_truncation()
    reference.no_padding()
    expected = reference.encode(text, add_special_tokens=False).ids
    own = json.loads(qconvert("tokenize", source, "--text", write_text(text), "--json"))["ids"]
    # The rule of the file may add tokens around the text.
    start = next((at for at in range(3) if own[at:at + 8] == expected[:8]), None)
    require(start is not None and own[start:start + len(expected)] == expected, f"{len(own)} ids against {len(expected)}, or others")
    return f"{len(expected)} ids"


@check("tokens of {} equal those of llama-tokenize on the GGUF", ["gpt2", "cl100k", "qwen2", "mistral-7b"])
def llama_equal(tokenizer):
    path = write_text(EVALUATION_TEXT.read_bytes().decode())
    gguf_file = f32_gguf(MODELS[tokenizer])
    printed = llama("llama-tokenize", "-m", gguf_file, "-f", path, "--ids", "--no-bos", "--log-disable")
    reference = json.loads(printed[printed.index("["): printed.rindex("]") + 1])
    for model in (random_model(MODELS[tokenizer]), gguf_file):
        own = json.loads(qconvert("tokenize", model, "--text", path, "--bos", "off", "--json"))["ids"]
        require(own == reference, f"{model.name}: {len(own)} ids against {len(reference)}, or others")
    return f"{len(reference)} ids"
