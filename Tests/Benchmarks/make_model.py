"""make_model.py FOLDER TOKENIZER: a Llama with random weights; prints its number of parameters."""
import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file

HIDDEN, FFN, LAYERS, HEADS, KEY_VALUE_HEADS, VOCABULARY = 768, 2048, 12, 12, 4, 32000


def make_model(folder, tokenizer):
    """A Llama with random BF16 weights and a few large channels; returns its number of parameters."""
    generator = torch.Generator().manual_seed(1)

    def tensor(*shape):
        values = torch.randn(*shape, generator=generator) * 0.02
        values[..., :: HIDDEN // 4] *= 8
        return values.to(torch.bfloat16)

    key_value = HIDDEN // HEADS * KEY_VALUE_HEADS
    tensors = {"model.embed_tokens.weight": tensor(VOCABULARY, HIDDEN)}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        tensors |= {
            prefix + "input_layernorm.weight": tensor(HIDDEN), prefix + "post_attention_layernorm.weight": tensor(HIDDEN),
            prefix + "self_attn.q_proj.weight": tensor(HIDDEN, HIDDEN),
            prefix + "self_attn.k_proj.weight": tensor(key_value, HIDDEN),
            prefix + "self_attn.v_proj.weight": tensor(key_value, HIDDEN),
            prefix + "self_attn.o_proj.weight": tensor(HIDDEN, HIDDEN),
            prefix + "mlp.gate_proj.weight": tensor(FFN, HIDDEN), prefix + "mlp.up_proj.weight": tensor(FFN, HIDDEN),
            prefix + "mlp.down_proj.weight": tensor(HIDDEN, FFN),
        }
    tensors |= {"model.norm.weight": tensor(HIDDEN), "lm_head.weight": tensor(VOCABULARY, HIDDEN)}
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": FFN,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KEY_VALUE_HEADS,
        "hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "vocab_size": VOCABULARY, "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }))
    for file in tokenizer.glob("tokenizer*"):
        shutil.copyfile(file, folder / file.name)
    return sum(t.numel() for t in tensors.values())


print(make_model(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
