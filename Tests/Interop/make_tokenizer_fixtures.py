#!/usr/bin/env python3
"""make_tokenizer_fixtures.py ROOT: writes Tests/Fixtures/tokenizers from this project's sources below ROOT.

`byte-level/`: a small vocabulary (tokenizer.json) and patterns.json: the ids that the `tokenizers` library gives with each
known pre-tokenizer. `sentencepiece/`: a small tokenizer.model and the ids that `sentencepiece` gives."""
import glob
import io
import json
import os
import sys

import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

root = sys.argv[1]
out = f"{root}/Tests/Fixtures/tokenizers"
corpus = [open(path, encoding="utf-8").read() for path in sorted(glob.glob(f"{root}/Sources/QuantCore/Schemes/*.swift"))]
TEXTS = [
    "", " ", "  a", "a  ", "\n", "\r\n\r\n", " \n ", "\n \n x", "a\n\n  b", "\t\tx",
    "tab\tand\u00a0nbsp\u3000wide",
    "I'm you're HE'S we'Ll it'\u017f 'tis 'n'", "12345678 1,234.56 ½²Ⅷ٣", "x1y22z333",
    "CamelCaseWord HTTPServer iPhone XMLa ABCd",
    "snake_case __init__ $var %d", "a+b==c && d!=e;", "(((...)))---", " .. !?\n", "//path/to\n/x/\r\n/", "https://a.b/c?d=e#f",
    "你好,世界! 漢字かな カタカナ", "한국어 각 \u1100\u1161\u11a8", "é e\u0301 \u212b a\u0323\u0307 a\u0307\u0323", "\u0301x \u0301\u0301 a\u0301B",
    "हिन्दी में", "ภาษาไทย", "שָׁלוֹם مُحَمَّد", "Ǆǅǆ ʰʷ", "😀👍🏽👨‍👩‍👧", "\x00\x01\x7f\x85", "\u2028\u2029", "\U0010ffff\ue000",
    "!important #tag @name [x]y", "a\u200bb", "word " * 9, "x" * 70, "ab" * 40, "let rows = min(groupLength, 32)  // why\n",
]
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
END = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
FRONT = r"[^\r\n\p{L}\p{N}]?"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
PATTERNS = {
    "gpt-2": [GPT2],
    "dbrx": [CONTRACTIONS + "|" + FRONT + r"\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + END],
    "llama-bpe": [CONTRACTIONS + "|" + FRONT + r"\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + END],
    "qwen2": [CONTRACTIONS + "|" + FRONT + r"\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + END],
    "qwen35": [CONTRACTIONS + "|" + FRONT + r"[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + END],
    "gpt-4o": [
        FRONT + UPPER + "*" + LOWER + "+" + CONTRACTIONS + "?|" + FRONT + UPPER + "+" + LOWER + "*" + CONTRACTIONS
        + r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + END
    ],
    "tekken": [
        FRONT + UPPER + "*" + LOWER + "+|" + FRONT + UPPER + "+" + LOWER + r"*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + END
    ],
    "deepseek-v3": [
        r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
        "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
        "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
    ],
}
NFC = {"qwen2", "qwen35"}
IGNORES_MERGES = {"llama-bpe", "tekken"}

os.makedirs(f"{out}/byte-level", exist_ok=True)
# Trained without a pre-tokenizer, so that a wrong cut shows in the ids.
trainer_input = Tokenizer(models.BPE())
trainer_input.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
trainer_input.decoder = decoders.ByteLevel()
lines = [line for text in corpus for line in text.split("\n")] + TEXTS * 3
trainer_input.train_from_iterator(
    lines, trainers.BpeTrainer(vocab_size=900, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), max_token_length=12))
trainer_input.add_special_tokens(["<|end|>"])
trainer_input.save(f"{out}/byte-level/tokenizer.json", pretty=False)
cases = []
for name, expressions in PATTERNS.items():
    tokenizer = Tokenizer.from_file(f"{out}/byte-level/tokenizer.json")
    steps = [pre_tokenizers.Split(Regex(expression), "isolated") for expression in expressions]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    if name in NFC:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.model.ignore_merges = name in IGNORES_MERGES
    sections = json.loads(tokenizer.to_str())
    cases.append({
        "name": name, "pre_tokenizer": sections["pre_tokenizer"], "normalizer": sections["normalizer"],
        "ignore_merges": sections["model"]["ignore_merges"],
        "lines": [
            {"text": text, "ids": ids, "ids_special": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)}
            for text in TEXTS for ids in [tokenizer.encode(text).ids]
        ],
    })
json.dump(cases, open(f"{out}/byte-level/patterns.json", "w"), separators=(",", ":"))

os.makedirs(f"{out}/sentencepiece", exist_ok=True)
model = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter([line for line in lines if line.strip() and "\x00" not in line]), model_writer=model, model_type="bpe",
    vocab_size=700, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
    user_defined_symbols=["<user>"], num_threads=1, minloglevel=2)
open(f"{out}/sentencepiece/tokenizer.model", "wb").write(model.getvalue())
processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
with open(f"{out}/sentencepiece/expected.jsonl", "w") as file:
    for text in TEXTS + ["<s> a</s>", "a<user>b", " <user> x"]:
        ids = processor.encode(text)
        line = {"text": text, "ids": ids, "ids_special": [processor.bos_id()] + ids, "decoded": processor.decode(ids)}
        file.write(json.dumps(line) + "\n")

