#!/usr/bin/env python3
"""make_inputs.py OUT: writes a small valid model, and models that are broken in one way each. Needs only the standard library.

The weights are random; the tokenizer is that of Tests/Fixtures/models/tiny-llama.
"""
import json
import pathlib
import random
import shutil
import struct
import sys

FIXTURE = pathlib.Path(__file__).resolve().parents[1] / "Fixtures" / "models" / "tiny-llama"
HIDDEN, FFN, HEADS, KEY_VALUE_HEADS, LAYERS, VOCABULARY = 64, 96, 4, 2, 2, 4096
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": FFN,
    "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KEY_VALUE_HEADS,
    "head_dim": HIDDEN // HEADS, "hidden_act": "silu", "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0, "vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 0, "tie_word_embeddings": False,
    "attention_bias": False, "mlp_bias": False, "torch_dtype": "float32",
}
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def good_tensors(vocabulary=VOCABULARY):
    """{name: (shape, F32 bytes)} of a Llama with random weights."""
    generator = random.Random(1)

    def tensor(*shape):
        count = 1
        for dimension in shape:
            count *= dimension
        return list(shape), struct.pack(f"<{count}f", *(generator.gauss(0, 0.05) for _ in range(count)))

    key_value = HIDDEN // HEADS * KEY_VALUE_HEADS
    tensors = {"model.embed_tokens.weight": tensor(vocabulary, HIDDEN)}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        tensors |= {
            prefix + "input_layernorm.weight": tensor(HIDDEN),
            prefix + "self_attn.q_proj.weight": tensor(HIDDEN, HIDDEN),
            prefix + "self_attn.k_proj.weight": tensor(key_value, HIDDEN),
            prefix + "self_attn.v_proj.weight": tensor(key_value, HIDDEN),
            prefix + "self_attn.o_proj.weight": tensor(HIDDEN, HIDDEN),
            prefix + "post_attention_layernorm.weight": tensor(HIDDEN),
            prefix + "mlp.gate_proj.weight": tensor(FFN, HIDDEN),
            prefix + "mlp.up_proj.weight": tensor(FFN, HIDDEN),
            prefix + "mlp.down_proj.weight": tensor(HIDDEN, FFN),
        }
    return tensors | {"model.norm.weight": tensor(HIDDEN), "lm_head.weight": tensor(vocabulary, HIDDEN)}


def unknown_multimodal_tensors():
    """A mixture of experts with vision, with tensor names of published models: routers, a shared expert's gate, a vision tower and its
    projector stay as they are."""
    tensors = good_tensors()

    def filled(*shape):
        count = shape[0] * shape[1]
        return list(shape), struct.pack(f"<{count}f", *((i * 7919 % 2003 - 1001) / 2048 for i in range(count)))

    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}.mlp."
        for name in ("gate_proj", "up_proj", "down_proj"):
            shape, data = tensors.pop(f"{prefix}{name}.weight")
            for expert in range(4):
                tensors[f"{prefix}experts.{expert}.{name}.weight"] = (shape, data)
        tensors[prefix + "gate.weight"] = filled(4, HIDDEN)
        tensors[prefix + "shared_expert_gate.weight"] = filled(1, HIDDEN)
    for name in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"):
        tensors[f"visual.blocks.0.{name}.weight"] = filled(64, 64)
    tensors["visual.merger.mlp.0.weight"] = filled(64, 64)
    tensors["multi_modal_projector.linear_1.weight"] = filled(64, 64)
    return tensors


def safetensors(tensors, types={}):
    """The bytes of a safetensors file; `types` holds the types of the tensors that are not F32."""
    header, offset = {}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": types.get(name, "F32"), "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data for _, data in tensors.values())


class Model:
    """A folder with the files that every model has."""

    def __init__(self, folder, **config):
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({**CONFIG, **config}, indent=2))
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(FIXTURE / name, folder / name)

    def single(self, tensors, types={}):
        (self.folder / "model.safetensors").write_bytes(safetensors(tensors, types))
        return self

    def sharded(self, tensors, extra=None):
        """Two shards of alternating tensors; `extra` tensors go into the second shard without a line in the index."""
        parts = [dict(list(tensors.items())[i::2]) for i in (0, 1)]
        weight_map = {name: SHARDS[i] for i in (0, 1) for name in parts[i]}
        parts[1] |= extra or {}
        for name, part in zip(SHARDS, parts):
            (self.folder / name).write_bytes(safetensors(part))
        self.index({"metadata": {"total_size": sum(len(d) for _, d in tensors.values())}, "weight_map": weight_map})
        return self

    def index(self, document):
        (self.folder / "model.safetensors.index.json").write_text(
            document if isinstance(document, str) else json.dumps(document, indent=2))


# What configurations of known classes say without changing a weight.
ODDITIES = {
    "linear rotary scaling under its first name": {"rope_scaling": {"type": "linear", "factor": 2.0}},
    "dynamic rotary scaling": {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
    "rotary parameters of transformers 5": {"rope_theta": None, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
    "empty rotary parameters": {"rope_scaling": None, "rope_parameters": None},
    "YaRN without its optional keys": {
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "attention_factor": None}},
    "slices of tensor parallelism": {"pretraining_tp": 2},
    "dtype instead of torch_dtype": {"torch_dtype": None, "dtype": "bfloat16"},
    "an empty quantization": {"quantization_config": None},
    "a window that is not used": {"sliding_window": None, "use_sliding_window": False, "max_window_layers": 2},
    "several end tokens and no start token": {"eos_token_id": [1, 2], "bos_token_id": None},
    "a context length with a fraction of zero": {"max_position_embeddings": 2048.0},
}
# Files of other programs in the place of weights, and words of the way on.
FOREIGN = {
    "tf_model.h5": "from_tf", "flax_model.msgpack": "from_flax", "model.onnx": "exported", "model.safetensors.incomplete": "not complete",
    "__0_0.distcp": "merge-weights", "global_step100": "zero_to_fp32", "model-q4_k_m.gguf": "one of these files",
}


def people(out, tensors):
    """Folders as trainers, publishers and interrupted downloads leave them."""

    def renamed(change):
        return {change(name): tensor for name, tensor in tensors.items()}

    Model(out / "wrapped").single(renamed(lambda name: "module." + name))
    Model(out / "compiled").single(renamed(lambda name: name.replace("layers.1.", "layers.1._orig_mod.")))
    Model(out / "without-prefix").single(renamed(lambda name: name.removeprefix("model.")))
    model = Model(out / "stale-index").sharded(tensors).single(tensors)
    (model.folder / SHARDS[0]).unlink()
    Model(out / "two-models").sharded(tensors).single(tensors)
    model = Model(out / "bare-consolidated").sharded(tensors)
    (model.folder / "model.safetensors.index.json").unlink()
    (model.folder / "consolidated.safetensors").write_bytes(safetensors({"tok_embeddings.weight": tensors["model.norm.weight"]}))
    model = Model(out / "beside-adapter").single(tensors)
    (model.folder / "adapter_config.json").write_text("{}")
    one, zero = struct.pack("<f", 1), struct.pack("<f", 0)
    bias = "model.layers.0.mlp.up_proj.bias"
    Model(out / "bias").single({**tensors, bias: ([FFN], one * FFN)})
    Model(out / "zero-bias").single({**tensors, bias: ([FFN], zero * FFN)})
    Model(out / "value-head").single({**tensors, "v_head.summary.weight": ([1, HIDDEN], one * HIDDEN)})
    name = "model.layers.0.self_attn.q_proj.weight"
    Model(out / "unmerged").single({**tensors, name.replace("weight", "lora_A.default.weight"): ([1, HIDDEN], one * HIDDEN)})
    Model(out / "placeholder").single({**tensors, name: ([0], b"")})
    Model(out / "undescribed").single(
        {**tensors, name: ([HIDDEN, HIDDEN], bytes(HIDDEN * HIDDEN)), name.replace("weight", "SCB"): ([HIDDEN], one * HIDDEN)},
        {name: "I8"})
    native = out / "native"
    native.mkdir()
    (native / "params.json").write_text("{}")
    (native / "consolidated.safetensors").write_bytes(safetensors({"tok_embeddings.weight": tensors["model.norm.weight"]}))
    model = Model(out / "dangling").single(tensors)
    (model.folder / "generation_config.json").symlink_to("../blobs/gone")
    (out / "hub" / "refs").mkdir(parents=True)
    (out / "hub" / "snapshots" / "0123").mkdir(parents=True)
    Model(out / "no-context", max_position_embeddings=None).single(tensors)
    model = Model(out / "unsaid-context").single(tensors)
    (model.folder / "config.json").write_text(json.dumps({k: v for k, v in CONFIG.items() if k != "max_position_embeddings"}))
    model = Model(out / "companions").single(tensors)
    for name in ("modeling_x.py", "COPYING", "chat.jinja", "LICENSE", "optimizer.pt"):
        (model.folder / name).write_text(name)
    (model.folder / "quantize_config.json").write_text('{"bits": 4, "group_size": 128, "desc_act": false}')
    modules = [("1_Pooling", "config.json"), ("2_Dense", "model.safetensors")]
    for name in [f"{folder}/{file}" for folder, file in modules] + ["chat_templates/tools.jinja", "onnx/model.onnx"]:
        (model.folder / name).parent.mkdir()
        (model.folder / name).write_text(name)
    (model.folder / "modules.json").write_text(json.dumps([{"idx": i, "path": path} for i, path in enumerate(["", *dict(modules)])]))
    (out / "outside.txt").write_text("not given with the model")
    (model.folder / "NOTICE").symlink_to("../outside.txt")
    (model.folder / "linked").mkdir()
    (model.folder / "linked" / "file").symlink_to("../../outside.txt")
    for name in ("special_tokens_map.json", "sentence_bert_config.json", "config_sentence_transformers.json", "USE_POLICY.md",
                 "video_preprocessor_config.json", "tokenization_x.py", "src/inner/util.py", "additional_chat_templates/tool.jinja",
                 "image.png", "tekken.json", "trainer_state.json", "training_args.bin", "rng_state.pth"):
        (model.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (model.folder / name).write_text("{}" if name.endswith(".json") else name)
    for name, stated in ODDITIES.items():
        Model(out / "odd" / name, **stated).single(tensors)
    inverse = {f"model.layers.{block}.self_attn.rotary_emb.inv_freq": ([8], struct.pack("<f", 1) * 8) for block in range(2)}
    Model(out / "odd" / "stored rotary frequencies").single({**tensors, **inverse})
    for name in FOREIGN:
        folder = Model(out / "foreign" / name).folder
        (folder / name).write_text("")
    (out / "foreign.txt").write_text("".join(f"{name}|{words}\n" for name, words in FOREIGN.items()))
    Model(out / "without-biases", architectures=["Qwen2ForCausalLM"], model_type="qwen2").single(tensors)
    Model(out / "with-one-bias", architectures=["Qwen2ForCausalLM"], model_type="qwen2").single(
        {**tensors, "model.layers.0.self_attn.q_proj.bias": ([HIDDEN], one * HIDDEN)})
    shape, data = tensors[name := "model.layers.0.self_attn.q_proj.weight"]
    scale = ([1], one)
    Model(out / "older-cache-scales", quantization_config={"quant_method": "fp8", "activation_scheme": "dynamic"}).single(
        {**tensors, name: (shape, data[:len(data) // 4].replace(b"\x7f", b"\x01").replace(b"\xff", b"\x01")),
         name + "_scale": scale, "model.layers.0.self_attn.k_proj.output_scale": scale,
         "model.layers.0.self_attn.v_proj.output_scale": scale, "model.layers.1.self_attn.kv_scale": scale},
        {name: "F8_E4M3"})


def main():
    out = pathlib.Path(sys.argv[1])
    tensors = good_tensors()
    Model(out / "good").single(tensors)
    Model(out / "sharded").sharded(tensors)

    Model(out / "truncated").single(tensors)
    file = out / "truncated" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])

    Model(out / "missing-shard").sharded(tensors)
    (out / "missing-shard" / SHARDS[1]).unlink()

    Model(out / "tensor-in-two-shards").sharded(tensors, extra={"model.embed_tokens.weight": tensors["model.embed_tokens.weight"]})

    model = Model(out / "listed-twice").sharded(tensors)
    path = model.folder / "model.safetensors.index.json"
    line = f'"model.norm.weight": "{SHARDS[0]}"'
    other = f'"model.norm.weight": "{SHARDS[1]}"'
    model.index(path.read_text().replace(line, f"{line}, {other}").replace(other, f"{other}, {line}", 1))

    shape, data = tensors["model.layers.1.mlp.up_proj.weight"]
    Model(out / "wrong-shape").single({**tensors, "model.layers.1.mlp.up_proj.weight": (shape[::-1], data)})

    shape, data = tensors["model.layers.1.self_attn.k_proj.weight"]
    nan = data[:400] + struct.pack("<f", float("nan")) + data[404:]
    Model(out / "nan").single({**tensors, "model.layers.1.self_attn.k_proj.weight": (shape, nan)})

    name = "model.layers.1.self_attn.v_proj.weight"
    shape, data = tensors[name]
    for folder, value in ("beyond-half", 70000.0), ("beyond-blocks", 1e8):
        Model(out / folder).single({**tensors, name: (shape, data[:400] + struct.pack("<f", value) + data[404:])})
    Model(out / "codes-without-scale").single({**tensors, name: (shape, data[: len(data) // 4])}, {name: "F8_E4M3"})
    Model(out / "doubles").single({**tensors, name: (shape, data * 2)}, {name: "F64"})

    Model(out / "tied-and-different", tie_word_embeddings=True).single(tensors)
    Model(out / "tied-and-same", tie_word_embeddings=True).single(
        {**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"]})

    for number, shape in enumerate(([0, 1 << 58], [1 << 58, 0], [0, 1 << 40, 1 << 10])):
        (out / f"nothing-{number}.safetensors").write_bytes(safetensors({"a.weight": (shape, b"")}, {"a.weight": "F8_E4M3"}))
    (out / "empty-matrix.safetensors").write_bytes(safetensors({"a.weight": ([8, 0], b""), "b.weight": ([0, 8], b"")}))

    Model(out / "unknown-architecture", architectures=["FooForCausalLM"], model_type="foo").single(tensors)
    Model(out / "unknown-multimodal", architectures=["FooForConditionalGeneration"], model_type="foo", num_experts=4).single(
        unknown_multimodal_tensors())
    Model(out / "small-embedding", vocab_size=VOCABULARY - 96).single(good_tensors(VOCABULARY - 96))
    Model(out / "no-weights")
    Model(out / "no-tensors").single({})
    Model(out / "bad-config").single(tensors)
    (out / "bad-config" / "config.json").write_text('{"architectures": [')
    Model(out / "escaping-index").sharded(tensors)
    path = out / "escaping-index" / "model.safetensors.index.json"
    path.write_text(path.read_text().replace(SHARDS[1], "../sharded/" + SHARDS[1]))
    (out / "empty.txt").write_text("")
    (out / "text.txt").write_text("A short text, which is long enough for a window of four tokens.")
    people(out, tensors)


main()
