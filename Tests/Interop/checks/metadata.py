"""GGUF metadata and tensors equal those of llama.cpp's own converter."""
import fnmatch

from clients import WORK, convert, llama_convert
from gguf_files import compare_tensors, metadata
from models import CONVERTER_OPTIONS, GGUF_MODELS, random_model, split
from registry import check, require

# Keys that may differ, by model and key, with the reason.
ALLOWED = {
    ("deepseek-v3", "tokenizer.ggml.pre"):
        "two names of the same rule; the converter distinguishes them by a hash of the ids of one string",
    **{("*t5*", f"tokenizer.ggml.{key}"): "the converter reads spiece.model alone, which lacks the tokens that tokenizer.json adds"
       for key in ("tokens", "scores", "token_type")},
    ("minimax-01", "tokenizer.chat_template"): "the converter adds that of MiniMax-M1, which is not in the folder",
    **{("solar-open", f"tokenizer.ggml.{key}_token_id"): "the converter looks up special tokens by their names in Solar Open"
       for key in ("bos", "eos", "eot", "unknown", "padding")},
    ("deepseek-v3-saved", "deepseek2.expert_gating_func"):
        "transformers does not save it; without it llama.cpp silently uses a softmax and gives other logits",
    ("gemma*", "tokenizer.ggml.add_space_prefix"):
        "follows from the tokenizer, which has a space prefix here; the converter states that of Gemma for every tokenizer",
    ("gemma", "tokenizer.ggml.eot_token_id"): "the converter states this id of Gemma's vocabulary for every vocabulary",
    **{(name, f"tokenizer.ggml.{key}_token_id"): "the converter looks up special tokens by their names in GLM"
       for name in ("glm4-moe", "glm-dsa") for key in ("bos", "eot", "eom", "unknown")},
    ("*", "qconvert.*"): "provenance that only qconvert writes",
    ("qwen3-yarn", "qwen3.rope.scaling.yarn_beta_*"):
        "the values that both assume; the converter writes them only if the configuration does",
    ("gpt-neox", "general.file_type"): "the converter's class for this architecture does not write it",
    ("mpt", "general.file_type"): "the same",
    ("nemotron", "tokenizer.ggml.padding_token_id"): "the converter states this id of Nemotron's vocabulary for every vocabulary",
    ("nemotron", "tokenizer.ggml.unknown_token_id"): "the same",
    ("mistral-model-only", "tokenizer.ggml.token_type"):
        "user-defined pieces of tokenizer.model keep their type, so that they are found before merging; the converter calls them normal",
    ("mistral-model-only", "tokenizer.ggml.unknown_token_id"):
        "tokenizer.model names its unknown piece; the converter looks only into the JSON files, which this folder lacks",
    ("phi-3-tokenizer", "tokenizer.ggml.scores"):
        "derived from the merges, which give the library's tokens; the converter writes -1000 for every token",
    ("phi-3-tokenizer", "tokenizer.ggml.token_type"):
        "as in the SentencePiece model that tokenizer.json was made from (<unk> is unknown, not control)",
}


def is_allowed(model, key):
    return any(fnmatch.fnmatch(model, m) and fnmatch.fnmatch(key, k) for m, k in ALLOWED)


def compare_metadata(model, own, reference):
    """Sentences about keys that are missing, superfluous, or differ in type or value."""
    own, reference = metadata(own), metadata(reference)
    found = []
    for key in sorted(own.keys() | reference.keys()):
        if is_allowed(model, key):
            continue
        if key not in own:
            found.append(f"no key {key} ({shorten(reference[key][1])})")
        elif key not in reference:
            found.append(f"key {key} ({shorten(own[key][1])}) is not in the reference")
        elif own[key] != reference[key]:
            found.append(f"{key} is {difference(own[key], reference[key])}")
    return found


def difference(own, reference):
    if own[0] != reference[0]:
        return f"of type {own[0]} instead of {reference[0]}"
    if isinstance(own[1], list) and isinstance(reference[1], list):
        if len(own[1]) != len(reference[1]):
            return f"{len(own[1])} values long instead of {len(reference[1])}"
        index = next(i for i, pair in enumerate(zip(own[1], reference[1])) if pair[0] != pair[1])
        return f"{own[1][index]!r} instead of {reference[1][index]!r} at index {index}"
    return f"{shorten(own[1])} instead of {shorten(reference[1])}"


def shorten(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def compare(name, type_name):
    own = convert(random_model(name), WORK / f"{name}.{type_name}.own.gguf", "--scheme", type_name)
    reference = llama_convert(random_model(name), WORK / f"{name}.{type_name}.reference.gguf", type_name, *CONVERTER_OPTIONS.get(name, []))
    found = compare_metadata(name, own, reference) + compare_tensors(own, reference)
    own.unlink()
    reference.unlink()
    require(not found, f"{len(found)} differences: " + "; ".join(found[:8]))


@check("GGUF of {} in F32 equals that of llama.cpp's converter", **split(GGUF_MODELS))
def f32_equals(name):
    compare(name, "f32")


@check("GGUF of {} in F16 equals that of llama.cpp's converter", ["llama-gqa-tied"], slow_cases=GGUF_MODELS)
def f16_equals(name):
    compare(name, "f16")


@check("GGUF of {} in BF16 equals that of llama.cpp's converter", ["qwen3"], slow_cases=GGUF_MODELS)
def bf16_equals(name):
    compare(name, "bf16")
