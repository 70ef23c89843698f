"""Nomic's BERT with experts, which no transformers has: its states beside its formulas in torch and llama.cpp, its GGUF beside the converter's."""
import functools
import json
import shutil

import numpy
import torch
from safetensors.torch import load_file, save_file

from checks.logits import deviation, own_logits
from checks.metadata import compare_metadata
from clients import WORK, convert, llama, llama_convert, shared
from gguf_files import compare_tensors
from registry import check, require

WIDTH, INNER, HEADS, EXPERTS, USED, BLOCKS = 64, 96, 4, 4, 2, 4
CONFIGURATION = dict(
    architectures=["NomicBertModel"], model_type="nomic_bert", vocab_size=30522, n_embd=WIDTH, n_layer=BLOCKS, n_head=HEADS, n_inner=INNER,
    n_positions=2048, max_trained_positions=2048, activation_function="gelu", causal=False, qkv_proj_bias=True, mlp_fc1_bias=True,
    mlp_fc2_bias=True, prenorm=False, rotary_emb_fraction=1.0, rotary_emb_interleaved=False, rotary_emb_scale_base=None,
    rotary_emb_base=10000, layer_norm_epsilon=1e-5, use_rms_norm=False, type_vocab_size=1, pad_token_id=0, num_experts=EXPERTS,
    moe_top_k=USED, moe_every_n_layers=2, num_shared_experts=0, expert_choice_router=False)
IDS = [token * 1237 % 30000 for token in range(1, 25)]


def shapes():
    found = {
        "embeddings.word_embeddings.weight": [30522, WIDTH], "embeddings.token_type_embeddings.weight": [1, WIDTH], "emb_ln.weight": [WIDTH],
        "emb_ln.bias": [WIDTH]}
    for block in range(BLOCKS):
        linears = {"attn.Wqkv": (3 * WIDTH, WIDTH), "attn.out_proj": (WIDTH, WIDTH)}
        own = {f"norm{i}.{kind}": [WIDTH] for i in (1, 2) for kind in ("weight", "bias")}
        if block % 2:
            own |= {
                "mlp.router.layer.weight": [EXPERTS, WIDTH], "mlp.experts.mlp.w1": [EXPERTS * INNER, WIDTH],
                "mlp.experts.mlp.w2": [EXPERTS * INNER, WIDTH], "mlp.experts.bias": [WIDTH]}
        else:
            linears |= {"mlp.fc1": (INNER, WIDTH), "mlp.fc2": (WIDTH, INNER)}
        own |= {f"{name}.weight": list(shape) for name, shape in linears.items()} | {f"{name}.bias": [shape[0]] for name, shape in linears.items()}
        found |= {f"encoder.layers.{block}.{key}": shape for key, shape in own.items()}
    return found


@functools.cache
def model(has_bias):
    torch.manual_seed(9)
    tensors = {}
    for key, shape in shapes().items():
        noise = torch.randn(shape)
        is_gain = "norm" in key and key.endswith("weight") or key == "emb_ln.weight"
        tensors[key] = 1 + 0.2 * noise if is_gain else noise * (0.2 if len(shape) < 2 else 1.2 / shape[-1] ** 0.5)
        if key.endswith("mlp.experts.bias") and not has_bias:
            tensors[key] *= 0
    folder = WORK / f"nomic-moe-{has_bias}"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIGURATION))
    save_file(tensors, folder / "model.safetensors", metadata=dict(format="pt"))
    for file in shared("tokenizers/bert-uncased").iterdir():
        if file.name.startswith(("tokenizer", "vocab", "special_tokens")):
            shutil.copyfile(file, folder / file.name)
    return folder


def states(folder):
    """The last hidden state `[tokens, channels]` by the formulas of the class that the model card names."""
    t = load_file(folder / "model.safetensors")
    size = WIDTH // HEADS
    positions = torch.arange(len(IDS))[:, None] * 10000.0 ** (-torch.arange(0, size, 2) / size)
    cosine, sine = positions.cos().repeat(1, 2), positions.sin().repeat(1, 2)

    def norm(x, name):
        return torch.nn.functional.layer_norm(x, [WIDTH], t[name + ".weight"], t[name + ".bias"], 1e-5)

    def linear(x, name):
        return x @ t[name + ".weight"].T + t[name + ".bias"]

    def rotated(x):
        return x * cosine + torch.cat([-x[..., size // 2:], x[..., :size // 2]], -1) * sine

    def experts(x, prefix):
        weights, chosen = (x @ t[prefix + "router.layer.weight"].T).softmax(-1).topk(USED)
        first, second = (t[prefix + f"experts.mlp.{name}"].view(EXPERTS, INNER, WIDTH) for name in ("w1", "w2"))
        result = torch.zeros_like(x)
        for token in range(len(x)):
            for weight, expert in zip(weights[token], chosen[token]):
                result[token] += weight * (torch.nn.functional.gelu(x[token] @ first[expert].T) @ second[expert])
        return result + t[prefix + "experts.bias"]

    x = norm(t["embeddings.word_embeddings.weight"][IDS] + t["embeddings.token_type_embeddings.weight"][0], "emb_ln")
    for block in range(BLOCKS):
        prefix = f"encoder.layers.{block}."
        q, k, v = (part.view(-1, HEADS, size).transpose(0, 1) for part in linear(x, prefix + "attn.Wqkv").chunk(3, -1))
        mixed = (rotated(q) @ rotated(k).transpose(1, 2) / size ** 0.5).softmax(-1) @ v
        x = norm(x + linear(mixed.transpose(0, 1).reshape(-1, WIDTH), prefix + "attn.out_proj"), prefix + "norm1")
        inner = prefix + "mlp."
        made = experts(x, inner) if block % 2 else linear(torch.nn.functional.gelu(linear(x, inner + "fc1")), inner + "fc2")
        x = norm(x + made, prefix + "norm2")
    return x


@functools.cache
def f32_gguf():
    return convert(model(False), WORK / "nomic-moe.gguf", "--scheme", "f32")


@check("Nomic's BERT with experts: states of the folder and the GGUF are those of its formulas, and of llama.cpp")
def states_agree():
    file, out = WORK / "nomic.ids", WORK / "nomic.f32"
    file.write_text(" ".join(map(str, IDS)))
    llama("llama-logits", f32_gguf(), file, out, "--states")
    plain, biased = states(model(False)), states(model(True))
    for kind, measured, expected, limit in [
            ("folder", own_logits(model(True), file), biased, 1e-5), ("GGUF", own_logits(f32_gguf(), file), plain, 1e-5),
            ("llama.cpp", numpy.fromfile(out, "<f4"), plain, 2e-3)]:
        found = deviation(measured, expected)
        require(found < limit, f"{kind}: deviation {found:.1e}")
    return f"llama.cpp {found:.1e}"


@check("GGUF of Nomic's BERT with experts equals that of llama.cpp's converter, and in Q4_K_M that of llama-quantize")
def gguf_equals():
    reference = llama_convert(model(False), WORK / "nomic-moe.reference.gguf", "f32")
    found = compare_metadata("nomic-moe", f32_gguf(), reference) + compare_tensors(f32_gguf(), reference)
    own, expected = convert(model(False), WORK / "nomic-moe.own.gguf", "--scheme", "q4_k_m"), WORK / "nomic-moe.expected.gguf"
    llama("llama-quantize", reference, expected, "Q4_K_M")
    found += compare_tensors(own, expected, is_from_ggml=True)
    require(not found, f"{len(found)} differences: {'; '.join(found[:4])}")
