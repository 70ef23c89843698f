"""Encoders: hidden states beside transformers and llama.cpp, GGUF files beside the converter, quantized folders and files."""
import functools
import json
import shutil

import numpy
import torch
import transformers

from checks.logits import deviation, own_logits
from checks.metadata import compare_metadata
from clients import WORK, convert, evaluate, llama, llama_convert, shared
from gguf_files import compare_tensors
from models import EVALUATION_TEXT
from registry import check, require

SHAPE = dict(hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=256)
BERT = dict(**SHAPE, vocab_size=30522, pad_token_id=0)
# The class of the configuration, the tokenizer, and what differs.
MODELS = {
    "bert": ("Bert", "bert-uncased", BERT),
    "distilbert": ("DistilBert", "bert-uncased", dict(
        vocab_size=30522, dim=64, hidden_dim=160, n_layers=2, n_heads=4, max_position_embeddings=256, pad_token_id=0)),
    "roberta": ("Roberta", "gpt2", dict(**SHAPE, vocab_size=50257, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2)),
    "modernbert": ("ModernBert", "gpt2", dict(
        **{**SHAPE, "num_hidden_layers": 4}, vocab_size=50257, local_attention=8, bos_token_id=1, eos_token_id=2, cls_token_id=1,
        sep_token_id=2, pad_token_id=0, reference_compile=False)),
}
QUICK = ["bert", "modernbert"]
# What published configurations state beside what transformers saves.
PUBLISHED = {"modernbert": dict(layer_norm_eps=1e-5)}


@functools.cache
def encoder(name):
    """Folder of an encoder in F32 in which every tensor is random, norms and biases included."""
    family, tokenizer, options = MODELS[name]
    source = shared(f"tokenizers/{tokenizer}")
    torch.manual_seed(sum(map(ord, name)))
    model = transformers.AutoModel.from_config(getattr(transformers, family + "Config")(**options))
    for key, parameter in model.named_parameters():
        noise = torch.randn_like(parameter)
        parameter.copy_(1 + 0.2 * noise if key.lower().endswith("norm.weight") else 0.1 * noise)
    folder = WORK / f"{name}.encoder"
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **PUBLISHED.get(name, {})}))
    for file in source.iterdir():
        if file.name.startswith(("tokenizer", "vocab", "merges.txt", "special_tokens")):
            shutil.copyfile(file, folder / file.name)
    return folder


def ids(name):
    torch.manual_seed(7)
    return torch.randint(5, MODELS[name][2]["vocab_size"], (40,)).tolist()


def ids_file(name):
    path = WORK / f"{name}.encoder.ids"
    path.write_text(" ".join(map(str, ids(name))))
    return path


def states(folder, tokens):
    """The last hidden state `[tokens, channels]` by transformers, in F32."""
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    return model(torch.tensor([tokens])).last_hidden_state[0]


@functools.cache
def f32_gguf(name):
    return convert(encoder(name), WORK / f"{name}.encoder.gguf", "--scheme", "f32")


@check(
    "hidden states of {}: folder and GGUF in qconvert, and the GGUF in llama.cpp, give those of transformers", QUICK,
    slow_cases=list(MODELS))
def same_states(name):
    expected, file = states(encoder(name), ids(name)), ids_file(name)
    out = WORK / "states.f32"
    llama("llama-logits", f32_gguf(name), file, out, "--states")
    # llama.cpp has the tanh form of GELU here, from a table of half-precision numbers.
    for kind, measured, limit in [
            ("folder", own_logits(encoder(name), file), 1e-5), ("GGUF", own_logits(f32_gguf(name), file), 1e-5),
            ("llama.cpp", numpy.fromfile(out, "<f4"), 2e-3)]:
        found = deviation(measured, expected)
        require(found < limit, f"{kind}: deviation {found:.1e}")
    return f"llama.cpp {found:.1e}"


@check("GGUF of {}, an encoder, in F32 equals that of llama.cpp's converter", QUICK, slow_cases=list(MODELS))
def gguf_equals(name):
    reference = llama_convert(encoder(name), WORK / f"{name}.encoder.reference.gguf", "f32")
    found = compare_metadata(name, f32_gguf(name), reference) + compare_tensors(f32_gguf(name), reference)
    reference.unlink()
    require(not found, f"{len(found)} differences: " + "; ".join(found[:8]))


# Not ModernBERT, whose class in transformers reads the weights of all linear layers when it loads a model.
@check("hidden states of {}: a folder in int4 by GPTQ is what transformers computes", ["bert"], slow_cases=["distilbert", "roberta"])
def quantized_folder(name):
    folder = convert(
        encoder(name), WORK / f"{name}.encoder.w4a16", "--scheme", "int4-g32", "--plugin", "gptq", "--calibration", EVALUATION_TEXT,
        "--context", 64, "--samples", 16)
    found = deviation(own_logits(folder, ids_file(name)), states(folder, ids(name)))
    require(found < 1e-4, f"deviation {found:.1e}")
    figures = evaluate(folder, "--reference", encoder(name), "--text", EVALUATION_TEXT, "--context", 64, "--windows", 32)
    require(0.9 < figures["cosine.min"] <= figures["cosine.p1"] <= figures["cosine.mean"] < 1, f"cosines {figures}")
    return f"{found:.1e}, cosine {figures['cosine.mean']:.4f}"


@check("vectors of {}: GPTQ loses less than rounding in Q4_0", ["bert"])
def gptq_is_better(name):
    cosines = {}
    for method, options in {"rtn": [], "gptq": ["--calibration", EVALUATION_TEXT, "--context", 64, "--samples", 32]}.items():
        output = convert(encoder(name), WORK / f"{name}.encoder.{method}.gguf", "--scheme", "q4_0", "--plugin", method, *options)
        figures = evaluate(output, "--reference", encoder(name), "--text", EVALUATION_TEXT, "--context", 64, "--windows", 32)
        cosines[method] = figures["cosine.mean"]
    require(cosines["gptq"] > cosines["rtn"], f"cosines {cosines}")
    return f"cosine {cosines['rtn']:.4f}, with GPTQ {cosines['gptq']:.4f}"
