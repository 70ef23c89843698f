"""Measures qconvert and llama.cpp's tools on the same work and prints a Markdown page. Called by run.sh."""
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from safetensors.torch import save_file

CLIENTS, QCONVERT = pathlib.Path(os.environ["CLIENTS"]), os.environ["QCONVERT"]
TOKENIZER = pathlib.Path(__file__).resolve().parents[3] / "shared" / "tokenizers" / "mistral-7b"
RUNS = int(os.environ.get("RUNS", 5))
CORES = len(os.sched_getaffinity(0))
HIDDEN, FFN, LAYERS, HEADS, KEY_VALUE_HEADS, VOCABULARY = 768, 2048, 12, 12, 4, 32000


def make_model(folder):
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
    for file in TOKENIZER.glob("tokenizer*"):
        shutil.copyfile(file, folder / file.name)
    return sum(t.numel() for t in tensors.values())


def measure(commands):
    """Runs commands one after another: CPU seconds (user + system), wall seconds, peak MiB of the largest process."""
    cpu = peak = 0.0
    start = time.monotonic()
    for command in commands:
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"benchmark: {command[0]} ended with {process.returncode}")
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss / 1024)
    return cpu, time.monotonic() - start, peak


def works(model, work):
    """Rows of the table: name, qconvert's commands, llama.cpp's commands."""
    own, other, plain = work / "own.gguf", work / "other.gguf", work / "plain.gguf"
    converter = [sys.executable, CLIENTS / "llama" / "convert_hf_to_gguf.py", model, "--outtype"]
    quantizer = CLIENTS / "bin" / "llama-quantize"
    source = work / "source.gguf"
    measure([[*converter, "f16", "--outfile", source]])
    rows = [("folder to F16", [[QCONVERT, model, own, "--scheme", "f16", "--force"]], [[*converter, "f16", "--outfile", other]])]
    for scheme in ("q8_0", "q4_0", "q4_k_m", "q6_k"):
        rows.append((
            f"folder to {scheme.upper()}", [[QCONVERT, model, own, "--scheme", scheme, "--plugin", "rtn", "--force"]],
            [[*converter, "bf16", "--outfile", plain], [quantizer, plain, other, scheme.upper(), CORES]]))
    for scheme in ("q8_0", "q4_k_m"):
        rows.append((
            f"F16 GGUF to {scheme.upper()}", [[QCONVERT, source, own, "--scheme", scheme, "--plugin", "rtn", "--force"]],
            [[quantizer, source, other, scheme.upper(), CORES]]))
    return rows


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def main():
    if not TOKENIZER.exists():
        sys.exit("benchmark: needs ../shared/tokenizers/mistral-7b, which is not here")
    work = pathlib.Path(tempfile.mkdtemp(prefix="qconvert-benchmark-"))
    try:
        parameters = make_model(work / "model")
        print(f"Llama with random weights, {parameters / 1e6:.0f} million parameters, BF16. {CORES} cores, {cpu_name()}.")
        print(f"Medians of {RUNS} alternating runs of whole processes; CPU is user + system time; peak is the largest process.\n")
        print("| work | qconvert CPU s | llama.cpp CPU s | ratio | qconvert wall s | llama.cpp wall s | ratio | qconvert peak MiB "
              "| llama.cpp peak MiB |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
        for name, own, other in works(work / "model", work):
            pairs = [(measure(own), measure(other)) for _ in range(RUNS)]
            (cpu, wall, peak), (other_cpu, other_wall, other_peak) = (
                [statistics.median(pair[side][i] for pair in pairs) for i in range(3)] for side in (0, 1))
            print(f"| {name} | {cpu:.2f} | {other_cpu:.2f} | {other_cpu / cpu:.1f} | {wall:.2f} | {other_wall:.2f} "
                  f"| {other_wall / wall:.1f} | {peak:.0f} | {other_peak:.0f} |", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
