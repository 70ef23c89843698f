"""make_model.py FOLDER TOKENIZER [--layers N --ffn N --vocabulary N]: a Llama with random weights; prints its number of parameters."""
import argparse
import json
import pathlib
import shutil

import torch
from safetensors.torch import save_file

HIDDEN, HEADS, KEY_VALUE_HEADS = 768, 12, 4


def make_model(folder, tokenizer, layers, ffn, vocabulary):
    """A Llama with random BF16 weights and a few large channels; returns its number of parameters."""
    generator = torch.Generator().manual_seed(1)

    def tensor(*shape):
        values = torch.randn(*shape, generator=generator) * 0.02
        values[..., :: HIDDEN // 4] *= 8
        return values.to(torch.bfloat16)

    key_value = HIDDEN // HEADS * KEY_VALUE_HEADS
    tensors = {"model.embed_tokens.weight": tensor(vocabulary, HIDDEN)}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        ones = torch.ones(HIDDEN, dtype=torch.bfloat16)
        tensors |= {
            prefix + "input_layernorm.weight": ones, prefix + "post_attention_layernorm.weight": ones.clone(),
            prefix + "self_attn.q_proj.weight": tensor(HIDDEN, HIDDEN),
            prefix + "self_attn.k_proj.weight": tensor(key_value, HIDDEN),
            prefix + "self_attn.v_proj.weight": tensor(key_value, HIDDEN),
            prefix + "self_attn.o_proj.weight": tensor(HIDDEN, HIDDEN),
            prefix + "mlp.gate_proj.weight": tensor(ffn, HIDDEN), prefix + "mlp.up_proj.weight": tensor(ffn, HIDDEN),
            prefix + "mlp.down_proj.weight": tensor(HIDDEN, ffn),
        }
    tensors |= {"model.norm.weight": torch.ones(HIDDEN, dtype=torch.bfloat16), "lm_head.weight": tensor(vocabulary, HIDDEN)}
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": ffn,
        "num_hidden_layers": layers, "num_attention_heads": HEADS, "num_key_value_heads": KEY_VALUE_HEADS,
        "hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "vocab_size": vocabulary, "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }))
    for file in tokenizer.glob("tokenizer*"):
        shutil.copyfile(file, folder / file.name)
    return sum(t.numel() for t in tensors.values())


parser = argparse.ArgumentParser()
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("tokenizer", type=pathlib.Path)
for name, value in (("--layers", 12), ("--ffn", 2048), ("--vocabulary", 32000)):
    parser.add_argument(name, type=int, default=value)
print(make_model(**vars(parser.parse_args())))
