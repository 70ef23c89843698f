#!/usr/bin/env python3
"""odd_tokenizers.py OUT MODEL: writes variants of a model's tokenizer as people have them, a text, and the ids that each gives it.

The ids are those of transformers 4.57.6 with tokenizers 0.22.1 (`AutoTokenizer.from_pretrained(folder)(text)["input_ids"]`); with
`--transformers` they are computed again and compared with the list. Needs only the standard library otherwise.
"""
import copy
import json
import pathlib
import shutil
import sys

TEXT = "a <|x|> b <|pad|> cat, the <|b|><|a|>  concatenate cat"
PLAIN = [65, 1567, 92, 88, 92, 30, 271, 1567, 92, 80, 304, 92, 30, 2618, 12, 261, 1567, 92, 66, 92, 30, 28, 92, 65, 92, 30, 221, 2203, 268,
         280, 418, 2618]
WITH_X = [65, 221, 4096] + PLAIN[6:]
EXPECTED = {
    "a version line among its merges": PLAIN,
    "a byte order mark before its merges": PLAIN,
    "an end token that is an object": PLAIN,
    "an added token that is a piece": PLAIN,
    "an added token twice": PLAIN,
    "a token that only tokenizer_config.json lists": WITH_X,
    "a token that only added_tokens.json lists": WITH_X,
    "a token that only special_tokens_map.json names": WITH_X,
    "a token that only tokenizer_config.json names": WITH_X,
    "a gap before an added token": WITH_X,
    "a padding token that nothing lists": PLAIN[:7] + [221, 4096] + PLAIN[13:],
    "added tokens out of order": PLAIN[:16] + [221, 4096, 4097] + PLAIN[26:],
    "a token that takes spaces": [65, 4096, 66] + PLAIN[7:],
    "a token that is a whole word": PLAIN[:13] + [221, 4096] + PLAIN[14:-1] + [221, 4096],
    "a space before the text": [259] + PLAIN[1:],
    "no pre-tokenizer": [65, 28, 92, 88, 92, 30, 66, 28, 92, 80, 304, 92, 30, 67, 268, 12, 888, 28, 92, 66, 92, 30, 28, 92, 65, 92, 30, 804,
                         67, 268, 280, 418, 67, 268],
    "merges as pairs": PLAIN,
    "merges that words in the vocabulary do without": PLAIN,
    "dropout of zero": PLAIN,
    "accents composed and letters lowered": PLAIN,
    "limits of length and padding": PLAIN,
    "a text that is stripped and spelt otherwise": PLAIN[:13] + [261] + PLAIN[14:27] + [691, 258, 280, 418, 261],
    "punctuation cut off alone": [65, 221, 28] + PLAIN[2:7] + [221, 28] + PLAIN[8:16] + [221, 28] + PLAIN[17:],
    "a start token before the text, twice": [0, 0, *PLAIN],
    "an added token within another": [65, 221, 4097] + PLAIN[6:],
    "an added token that begins in a word": PLAIN[:13] + [221, 4096] + PLAIN[14:26] + [269, 4097, 268, 280, 418, 221, 4096],
    "an added token of spaces": PLAIN[:26] + [4096, 804, 67, 268, 280, 418, 2618],
}


def token(number, text, **flags):
    return {"id": number, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True,
            **flags}


class Variants:
    def __init__(self, out, model):
        self.out, self.model = out, model
        self.tokenizer = json.loads((model / "tokenizer.json").read_text())
        self.configuration = json.loads((model / "tokenizer_config.json").read_text())
        self.count = len(self.tokenizer["model"]["vocab"])

    def write(self, name, change=None, configuration={}, files={}):
        folder = self.out / name
        folder.mkdir(parents=True)
        tokenizer = copy.deepcopy(self.tokenizer)
        if change is not None:
            change(tokenizer)
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        (folder / "tokenizer_config.json").write_text(json.dumps({**self.configuration, **configuration}))
        for file, content in files.items():
            (folder / file).write_text(json.dumps(content))
        return folder

    def adding(self, *tokens):
        return lambda tokenizer: tokenizer["added_tokens"].extend(tokens)

    def all(self):
        count, write = self.count, self.write
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in self.tokenizer["model"]["merges"]]
        listed = {str(count): {key: value for key, value in token(0, "<|x|>").items() if key != "id"}}
        first = self.tokenizer["added_tokens"][0]["content"]
        write("a version line among its merges", lambda t: t["model"].update(merges=["#version: 0.2", *merges]))
        folder = write("a byte order mark before its merges", configuration={"tokenizer_class": "GPT2Tokenizer"})
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.json").write_text(json.dumps(self.tokenizer["model"]["vocab"]))
        (folder / "merges.txt").write_text("\ufeff#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
        write("an end token that is an object", configuration={"eos_token": {"__type": "AddedToken", "content": first}})
        write("an added token that is a piece", self.adding(token(count, "\u0120the", special=False)))
        write("an added token twice", self.adding(token(count + 1, first)))
        write("a token that only tokenizer_config.json lists", configuration={"added_tokens_decoder": listed})
        write("a token that only added_tokens.json lists", files={"added_tokens.json": {"<|x|>": count}})
        write("a token that only special_tokens_map.json names",
              files={"special_tokens_map.json": {"additional_special_tokens": ["<|x|>"]}})
        write("a token that only tokenizer_config.json names", configuration={"additional_special_tokens": ["<|x|>"]})
        write("a gap before an added token", self.adding(token(count + 5, "<|x|>")))
        write("a padding token that nothing lists", configuration={"pad_token": "<|pad|>"})
        write("added tokens out of order", self.adding(token(count + 1, "<|b|>"), token(count, "<|a|>")))
        write("a token that takes spaces", self.adding(token(count, "<|x|>", lstrip=True, rstrip=True)))
        write("a token that is a whole word",
              self.adding(token(count, "cat", single_word=True, special=False, normalized=True)))
        spaced = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
        write("a space before the text", lambda t: t.update(pre_tokenizer=spaced), {"add_prefix_space": True})
        write("no pre-tokenizer", lambda t: t.update(pre_tokenizer=None))
        write("merges as pairs", lambda t: t["model"].update(merges=[merge.split(" ") for merge in merges]))
        write("merges that words in the vocabulary do without", lambda t: t["model"].update(ignore_merges=True))
        write("dropout of zero", lambda t: t["model"].update(dropout=0.0, fuse_unk=True, unk_token=None))
        write("accents composed and letters lowered",
              lambda t: t.update(normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}))
        write("a text that is stripped and spelt otherwise", lambda t: t.update(normalizer={"type": "Sequence", "normalizers": [
            {"type": "Strip", "strip_left": True, "strip_right": True}, {"type": "Replace", "pattern": {"String": "cat"}, "content": "the"}]}))
        digits = {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": True}, {"type": "Punctuation", "behavior": "Isolated"}, {**spaced, "add_prefix_space": False}]}
        write("punctuation cut off alone", lambda t: t.update(pre_tokenizer=digits))
        write("a start token before the text, twice", lambda t: t.update(post_processor={
            "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": first, "type_id": 0}}, {"SpecialToken": {"id": first, "type_id": 0}},
                                                     {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {first: {"id": first, "ids": [self.tokenizer["added_tokens"][0]["id"]], "tokens": [first]}}}))
        write("an added token within another", self.adding(token(count, "<|x"), token(count + 1, "<|x|>")))
        write("an added token that begins in a word", self.adding(token(count, "cat", special=False), token(count + 1, "conc", special=False)))
        write("an added token of spaces", self.adding(token(count, "  ", special=False)))
        write("limits of length and padding", lambda t: t.update(
            truncation={"direction": "Right", "max_length": 4096, "strategy": "LongestFirst", "stride": 0},
            padding={"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
                     "pad_token": first}))


def compare(out, model):
    """Prints where transformers gives other ids than the list."""
    import transformers

    for name, ids in EXPECTED.items():
        shutil.copyfile(model / "config.json", out / name / "config.json")
        found = transformers.AutoTokenizer.from_pretrained(out / name)(TEXT)["input_ids"]
        print("same" if found == ids else f"OTHER {found}", name)


def main():
    out, model = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    Variants(out, model).all()
    (out / "text.txt").write_text(TEXT)
    (out / "expected.txt").write_text("".join(f"{name}|{' '.join(map(str, ids))}\n" for name, ids in EXPECTED.items()))
    if "--transformers" in sys.argv:
        compare(out, model)


main()
