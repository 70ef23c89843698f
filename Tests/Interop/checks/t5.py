"""Encoders and decoders of T5, which are converted but not computed: the GGUF is that of llama.cpp's converter and of llama-quantize, and it
becomes a folder again."""
import functools
import json
import shutil
import subprocess
import sys

import numpy
import torch
import transformers
from safetensors.torch import load_file

from checks.metadata import compare_metadata
from clients import CLIENTS, QCONVERT, WORK, convert, llama, llama_convert, shared
from gguf_files import compare_tensors
from models import EVALUATION_TEXT
from registry import check, require

sys.path.insert(1, str(CLIENTS / "llama" / "gguf-py"))
import gguf  # noqa: E402

SHAPE = dict(
    vocab_size=32128, d_model=64, d_kv=16, d_ff=96, num_layers=3, num_heads=4, relative_attention_num_buckets=32, pad_token_id=0,
    eos_token_id=1, decoder_start_token_id=0)
# The class, that of its configuration, and what this states.
MODELS = {
    "t5": ("T5ForConditionalGeneration", "T5Config", dict(**SHAPE, num_decoder_layers=2, feed_forward_proj="relu")),
    "t5-untied": ("T5ForConditionalGeneration", "T5Config", dict(
        **SHAPE, num_decoder_layers=3, feed_forward_proj="gated-gelu", tie_word_embeddings=False)),
    "umt5": ("UMT5ForConditionalGeneration", "UMT5Config", dict(**SHAPE, num_decoder_layers=2, feed_forward_proj="gated-gelu")),
    "t5-encoder": ("T5EncoderModel", "T5Config", dict(**SHAPE, feed_forward_proj="gated-gelu")),
}


@functools.cache
def model(name):
    kind, configuration, options = MODELS[name]
    torch.manual_seed(4)
    made = getattr(transformers, kind)(getattr(transformers, configuration)(**options))
    for key, parameter in made.named_parameters():
        noise = torch.randn_like(parameter)
        parameter.copy_(1 + 0.2 * noise if "layer_norm" in key else noise * parameter.shape[-1] ** -0.5)
    folder = WORK / f"{name}.folder"
    made.save_pretrained(folder)
    for file in shared("tokenizers/t5-small").iterdir():
        if file.name.startswith(("tokenizer", "spiece", "special_tokens")):
            shutil.copyfile(file, folder / file.name)
    return folder


@functools.cache
def f32_gguf(name):
    return convert(model(name), WORK / f"{name}.gguf", "--scheme", "f32")


@functools.cache
def importance(name):
    """Random importance of all matrices, as llama-imatrix stores it."""
    path = WORK / f"{name}.imatrix.gguf"
    generator = numpy.random.default_rng(3)
    writer = gguf.GGUFWriter(path, "")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["random"])
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", 64)
    for tensor in gguf.GGUFReader(f32_gguf(name)).tensors:
        if len(tensor.shape) > 1 and "rel_b" not in tensor.name and "token_embd" not in tensor.name:
            writer.add_tensor(tensor.name + ".in_sum2", generator.random((1, int(tensor.shape[0])), numpy.float32))
            writer.add_tensor(tensor.name + ".counts", numpy.ones((1, 1), numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@check("GGUF of {} equals that of llama.cpp's converter", ["t5", "t5-encoder"], slow_cases=MODELS)
def equals_converter(name):
    reference = llama_convert(model(name), WORK / f"{name}.reference.gguf", "f32")
    found = compare_metadata(name, f32_gguf(name), reference) + compare_tensors(f32_gguf(name), reference)
    require(not found, f"{len(found)} differences: {'; '.join(found[:4])}")


@check("{}: the file with foreign importance has llama-quantize's bytes", [("t5", "iq4_xs"), ("t5-encoder", "q4_k_m")], slow_cases=[
    ("umt5", "q3_k_m"), ("t5-untied", "q5_k_s")])
def mixes(case):
    name, mix = case
    own, expected = WORK / f"{name}.{mix}.gguf", WORK / f"{name}.{mix}.expected.gguf"
    convert(model(name), own, "--scheme", mix, "--importance", importance(name))
    llama("llama-quantize", "--imatrix", importance(name), f32_gguf(name), expected, mix.upper())
    found = compare_tensors(own, expected)
    require(not found, f"{len(found)} differences: {'; '.join(found[:4])}")


@check("folder of {} made from its GGUF: all weights are those of the original, and transformers loads it", ["t5"], slow_cases=MODELS)
def returns(name):
    folder = convert(f32_gguf(name), WORK / f"{name}.rebuilt", "--scheme", "f32")
    expected, found = (load_file(source / "model.safetensors") for source in (model(name), folder))
    require(expected.keys() == found.keys(), f"other tensors: {sorted(expected.keys() ^ found.keys())[:4]}")
    differing = [key for key, value in expected.items() if not torch.equal(value, found[key])]
    require(not differing, f"{len(differing)} tensors differ, such as {differing[:3]}")
    kind = getattr(transformers, MODELS[name][0])
    tokens = torch.tensor([[5, 900, 77, 1]])
    inputs = dict(input_ids=tokens) if name == "t5-encoder" else dict(input_ids=tokens, decoder_input_ids=tokens)
    own, theirs = (kind.from_pretrained(source, dtype=torch.float32).eval()(**inputs)[0] for source in (folder, model(name)))
    require(torch.equal(own, theirs), f"deviation {(own - theirs).abs().max():.1e}")


@check("an encoder beside a decoder is not computed: the program says so")
def is_not_computed():
    done = subprocess.run([QCONVERT, "eval", model("t5"), "--text", EVALUATION_TEXT], capture_output=True, text=True)
    require(done.returncode == 69 and "model.not-computed" in done.stderr, f"code {done.returncode}: {done.stderr[-200:]}")
