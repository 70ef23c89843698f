"""make_model.py FOLDER TOKENIZER [--hidden N --heads N …]: a Llama with random weights; prints its number of parameters.

Tensors are written one after another, in pieces: the model may be larger than memory.
"""
import argparse
import json
import pathlib
import shutil

import torch

PIECE = 1 << 24


def tensors(o):
    """Name and shape of each tensor."""
    queries, keys = o.heads * o.head_size, o.key_value_heads * o.head_size
    yield "model.embed_tokens.weight", (o.vocabulary, o.hidden)
    for layer in range(o.layers):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", (o.hidden,)
        yield prefix + "post_attention_layernorm.weight", (o.hidden,)
        for name, rows, columns in (("q", queries, o.hidden), ("k", keys, o.hidden), ("v", keys, o.hidden), ("o", o.hidden, queries)):
            yield f"{prefix}self_attn.{name}_proj.weight", (rows, columns)
        for name, rows, columns in (("gate", o.ffn, o.hidden), ("up", o.ffn, o.hidden), ("down", o.hidden, o.ffn)):
            yield f"{prefix}mlp.{name}_proj.weight", (rows, columns)
    yield "model.norm.weight", (o.hidden,)
    if not o.tied:
        yield "lm_head.weight", (o.vocabulary, o.hidden)


def pieces(shape, generator):
    """The bytes of a tensor in BF16: random weights with a few large channels, and ones for norms."""
    if len(shape) == 1:
        yield torch.ones(shape, dtype=torch.bfloat16)
        return
    rows = max(1, PIECE // shape[1])
    for first in range(0, shape[0], rows):
        values = torch.randn(min(rows, shape[0] - first), shape[1], generator=generator) * 0.02
        values[:, :: max(1, shape[1] // 4)] *= 8
        yield values.to(torch.bfloat16)


def write(path, named):
    """A safetensors file; returns its number of parameters."""
    header, count = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in named:
        size = torch.Size(shape).numel()
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [2 * count, 2 * (count + size)]}
        count += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    generator = torch.Generator().manual_seed(1)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, shape in named:
            for piece in pieces(shape, generator):
                file.write(piece.view(torch.uint8).numpy().data)
    return count


def make_model(o):
    o.head_size = o.head_size or o.hidden // o.heads
    o.folder.mkdir()
    count = write(o.folder / "model.safetensors", list(tensors(o)))
    (o.folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": o.hidden, "intermediate_size": o.ffn,
        "num_hidden_layers": o.layers, "num_attention_heads": o.heads, "num_key_value_heads": o.key_value_heads,
        "head_dim": o.head_size, "hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "vocab_size": o.vocabulary, "bos_token_id": 1, "eos_token_id": 2,
        "tie_word_embeddings": o.tied, "torch_dtype": "bfloat16",
    }))
    for file in o.tokenizer.glob("tokenizer*"):
        shutil.copyfile(file, o.folder / file.name)
    return count


parser = argparse.ArgumentParser()
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("tokenizer", type=pathlib.Path)
for name, value in (("layers", 12), ("hidden", 768), ("heads", 12), ("key-value-heads", 4), ("head-size", 0), ("ffn", 2048),
                    ("vocabulary", 32000)):
    parser.add_argument(f"--{name}", type=int, default=value)
parser.add_argument("--tied", action="store_true")
print(make_model(parser.parse_args()))
