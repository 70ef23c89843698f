"""Measures qconvert's GPTQ and AWQ beside GPTQModel and llm-compressor on the same work and prints a Markdown page. Called by
methods.sh.

The work: a Llama of random weights (12 blocks, or --blocks N), 128 windows of 256 tokens, 4-bit integers in groups of 128.
A program whose environment could not be made is left out, and the page says so.
"""
import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent
SHARED = HERE.parents[2] / "shared"
TOKENIZER, TEXT = SHARED / "models" / "tiny-llama", SHARED / "text" / "calibration.txt"
HIDDEN, FFN, HEADS, KEY_VALUE_HEADS, VOCABULARY = 768, 2816, 12, 4, 4096
SAMPLES, CONTEXT = 128, 256


def make_model(folder, blocks):
    """Writes a Llama with random BF16 weights; returns its number of parameters."""
    generator = torch.Generator().manual_seed(1)

    def tensor(*shape):
        return (torch.randn(*shape, generator=generator) * 0.02).to(torch.bfloat16)

    key_value = HIDDEN // HEADS * KEY_VALUE_HEADS
    shapes = {
        "self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (key_value, HIDDEN), "self_attn.v_proj": (key_value, HIDDEN),
        "self_attn.o_proj": (HIDDEN, HIDDEN), "mlp.gate_proj": (FFN, HIDDEN), "mlp.up_proj": (FFN, HIDDEN),
        "mlp.down_proj": (HIDDEN, FFN)}
    tensors = {"model.embed_tokens.weight": tensor(VOCABULARY, HIDDEN), "lm_head.weight": tensor(VOCABULARY, HIDDEN)}
    for block in range(blocks):
        prefix = f"model.layers.{block}."
        tensors |= {f"{prefix}{name}.weight": tensor(*shape) for name, shape in shapes.items()}
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{prefix}{norm}.weight"] = torch.ones(HIDDEN, dtype=torch.bfloat16)
    tensors["model.norm.weight"] = torch.ones(HIDDEN, dtype=torch.bfloat16)
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": FFN,
        "num_hidden_layers": blocks, "num_attention_heads": HEADS, "num_key_value_heads": KEY_VALUE_HEADS, "hidden_act": "silu",
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "vocab_size": VOCABULARY,
        "bos_token_id": 0, "eos_token_id": 0, "tie_word_embeddings": False, "torch_dtype": "bfloat16"}))
    for file in TOKENIZER.glob("tokenizer*"):
        (folder / file.name).write_bytes(file.read_bytes())
    return sum(t.numel() for t in tensors.values())


def measure(command):
    """CPU seconds (user + system), wall seconds and peak MiB of one process, or None where it fails."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            log.seek(0)
            print(log.read().decode(errors="replace")[-2000:], file=sys.stderr)
            return None
    return usage.ru_utime + usage.ru_stime, time.monotonic() - start, usage.ru_maxrss / 1024


def works(model, out):
    """Rows of the table: name, command."""
    own = [os.environ["QCONVERT"], model, out, "--scheme", "w4a16", "--calibration", TEXT, "--samples", SAMPLES,
           "--context", CONTEXT, "--force", "--quiet", "--plugin"]
    rows = [("qconvert GPTQ", [*own, "gptq"]), ("qconvert GPTQ, BF16 products", [*own, "gptq", "--products", "bf16"]),
            ("qconvert AWQ", [*own, "awq"])]
    for peer, variable, methods in (
            ("GPTQModel", "GPTQMODEL_PYTHON", ("gptq",)), ("llm-compressor", "LLMCOMPRESSOR_PYTHON", ("gptq", "awq"))):
        python = os.environ.get(variable)
        rows += [(f"{peer} {method.upper()}", python and [python, HERE / "peers.py", peer, method, model, TEXT, out])
                 for method in methods]
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks", type=int, default=12)
    blocks = parser.parse_args().blocks
    if not TEXT.exists():
        sys.exit("benchmark: needs ../shared, which is not here")
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    with tempfile.TemporaryDirectory(prefix="qconvert-methods-") as work:
        work = pathlib.Path(work)
        parameters = make_model(work / "model", blocks)
        print(f"Llama with random weights, {blocks} blocks, {parameters / 1e6:.0f} million parameters, {SAMPLES} windows of "
              f"{CONTEXT} tokens, int4 in groups of 128. {len(os.sched_getaffinity(0))} cores, {cpu}. Whole processes.\n")
        print("| program | CPU s | wall s | peak MiB |\n|---|---:|---:|---:|")
        for number, (name, command) in enumerate(works(work / "model", work / "out")):
            figures = measure([work / f"out{number}" if part == work / "out" else part for part in command]) if command else None
            print(f"| {name} | " + (" | ".join(f"{x:.1f}" for x in figures) if figures else "not measured | |") + " |", flush=True)


main()
