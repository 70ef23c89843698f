#!/usr/bin/env python3
"""make.py: adapters of the models in ../engine, as PEFT (0.21.2) saves them, with random numbers in both matrices.

Beside each adapter stands `expected.safetensors`: token ids, and the logits of the model with the adapter beside it (not merged) as
transformers (4.57.6) and PEFT compute them in float32; of `bloom`, also the weights that merge_and_unload makes."""
import pathlib
import shutil

import peft
import torch
import transformers
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).resolve().parent
ENGINE = FOLDER.parent / "engine"
LLAMA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# By adapter: model, type of its numbers, configuration.
CASES = {
    "llama": ("llama3-rope", torch.float32, dict(r=4, lora_alpha=8, target_modules=LLAMA)),
    "llama-second": ("llama3-rope", torch.bfloat16, dict(r=2, lora_alpha=3, target_modules=["q_proj", "down_proj"])),
    # A tied embedding, which is left alone; norms and biases that were trained whole.
    "llama-patterns": ("llama-biases", torch.float32, dict(
        r=4, lora_alpha=8, use_rslora=True, target_modules=LLAMA, rank_pattern={"q_proj": 2, r"^model.layers.1.*down_proj": 3},
        alpha_pattern={"layers.0.mlp.up_proj": 5}, bias="lora_only", modules_to_save=["norm"])),
    "mistral-head": ("mistral-window", torch.float32, dict(
        r=3, lora_alpha=6, target_modules=["embed_tokens", "v_proj"], modules_to_save=["lm_head"])),
    "qwen2": ("qwen2", torch.float16, dict(r=2, lora_alpha=2, target_modules=["q_proj", "k_proj", "v_proj"])),
    "qwen3-outer": ("qwen3", torch.float32, dict(r=3, lora_alpha=7, target_modules=["embed_tokens", "lm_head", "q_proj", "k_proj"])),
    # Some experts only, of different ranks.
    "mixtral": ("mixtral", torch.float32, dict(
        r=2, lora_alpha=4, target_modules=r".*(q_proj|k_proj|block_sparse_moe.gate|experts\.[012]\.w[12]|experts\.3\.w3)",
        rank_pattern={r"experts.1.w1": 4})),
    "gpt2": ("gpt2", torch.float32, dict(r=4, lora_alpha=4, fan_in_fan_out=True, target_modules=["c_attn", "c_proj", "c_fc"])),
    "bloom": ("bloom", torch.float32, dict(
        r=4, lora_alpha=6, target_modules=["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"])),
    "opt": ("opt", torch.float32, dict(r=2, lora_alpha=4, bias="all", target_modules=["q_proj", "v_proj", "fc1"])),
    "opt-projected": ("opt-post-norm", torch.float32, dict(r=2, lora_alpha=4, target_modules=["project_in", "project_out", "fc2"])),
}


def main():
    torch.set_grad_enabled(False)
    for name, (base, dtype, options) in CASES.items():
        model = transformers.AutoModelForCausalLM.from_pretrained(ENGINE / base, dtype=torch.float32, attn_implementation="eager").eval()
        config = peft.LoraConfig(task_type="CAUSAL_LM", **options)
        adapted = peft.get_peft_model(model, config, autocast_adapter_dtype=False).eval()
        config.base_model_name_or_path = base
        generator = torch.Generator().manual_seed(sum(map(ord, name)))
        for key, parameter in adapted.named_parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator)
                value = 0.3 * noise if "lora_" in key else parameter + 0.2 * noise
                parameter.data = value.to(dtype).float()
        tokens = torch.randint(0, 96, (2, 12), generator=generator)
        expected = {"tokens": tokens.int(), "logits": adapted(input_ids=tokens).logits.float().contiguous()}
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(dtype)
        folder = FOLDER / name
        shutil.rmtree(folder, ignore_errors=True)
        adapted.save_pretrained(folder)
        (folder / "README.md").unlink()
        if name == "bloom":
            merged = adapted.merge_and_unload()
            expected |= {f"merged.{key}": value.contiguous() for key, value in merged.state_dict().items() if "h.0.self_attention" in key}
        save_file(expected, folder / "expected.safetensors")


main()
