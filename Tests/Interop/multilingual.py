"""A multilingual text, made of what ../shared has: English articles, and difficult strings of many scripts between them."""
import json
import pathlib

SHARED = pathlib.Path(__file__).resolve().parents[2].parent / "shared"
# Special tokens as text are another matter: what matches them differs between programs.
SPECIAL = ("<|", "<s>", "</s>", "<unk>", "<pad>", "[CLS]", "[SEP]", "[MASK]", "[PAD]", "[INST]", "<extra")


def multilingual_text(size=1_000_000):
    """At least `size` bytes in lines, the same for the same size."""
    lines = (SHARED / "tokenizers/gpt2/expected.jsonl").read_text().splitlines()
    strings = [json.loads(line)["text"] for line in lines]
    strings = [text for text in strings if len(text) < 400 and not any(mark in text for mark in SPECIAL)]
    articles = [line for line in (SHARED / "text/wikitext2-test.txt").read_text(encoding="utf-8").split("\n") if len(line) > 80]
    result, length, index = [], 0, 0
    while length < size:
        if index % 2 == 0:
            line = articles[index // 2 % len(articles)]
        else:
            line = " ".join(strings[(index * 7 + step) % len(strings)] for step in range(20))
        result.append(line)
        length += len(line.encode()) + 1
        index += 1
    return "\n".join(result)
