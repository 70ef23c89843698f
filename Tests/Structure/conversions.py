"""The conversions that bytes.py makes: the name, inputs and options of each row."""

# Presets of llama-quantize, block types, and those that need importance.
MIXES = """f32 bf16 f16 q8_0 q6_k q5_k_m q5_k_s q5_1 q5_0 q4_k_m q4_k_s q4_1 q4_0 iq4_nl iq4_xs mxfp4_moe q3_k_l q3_k_m q3_k_s iq3_m
iq3_s iq3_xs iq3_xxs q2_k q2_k_s q2_0 tq2_0 tq1_0 q1_0 iq2_m iq2_s iq2_xs iq2_xxs iq1_m iq1_s""".split()
BLOCKS = """q8_0 q4_0 q4_1 q5_0 q5_1 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs tq1_0 tq2_0 q1_0 q2_0 mxfp4-ggml nvfp4-ggml iq1_s iq1_m
iq2_xxs iq2_xs iq2_s iq3_xxs iq3_s mxfp4 nvfp4""".split()
SEARCHED = "q4_0 q4_1 q5_0 q5_1 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs tq1_0 tq2_0 q1_0 q2_0".split()
PRESETS = """w4a16 w8a16 w8a8 w8a8-static w4a8 fp8 fp8-static fp8-block nvfp4 nvfp4a16 mxfp4a16 mxfp8a16 zeroquant-w4a8
zeroquant-w4a16 zeroquant-fp-w4a8 zeroquant-fp-w8a8""".split()
INTEGERS = [f"int{bits}-{group}{zero}" for bits in range(2, 9) for group in ("g32", "g128", "channel") for zero in ("", "-asym")]
FLOATS = """fp8-channel fp8-tensor fp8-block64 fp8-block128 fp8-block128-e8m0 fp8e5m2-channel fp8e5m2-block128 fp8e5m2-tensor mxfp4
mxfp8 nvfp4 fp8-g32 fp8-g64-e8m0 fp8-g32-ratio e2m1-g32-e8m0 nf4 fp4 nf4-g32 fp4-g128 nf4-double fp4-double nf4-g128-double fp4-g32-double llm-int8""".split()
PACKINGS = """plain pack-quantized int-quantized float-quantized gptq gptq_v2 awq nvfp4-pack-quantized mxfp4-pack-quantized
mxfp8-quantized fp8 fp8-block modelopt-fp8 modelopt-nvfp4 gpt-oss bitsandbytes hqq torchao gguf gguf-float""".split()
PACKED = """int4-g128 int4-g128-asym int4-g32 int3-g128 int2-g32-asym int8-channel int8-g128 fp8-channel fp8-tensor fp8-block128
fp8-block128-e8m0 nvfp4 mxfp4 mxfp8 nf4 llm-int8""".split()
# Sources of the rows that repack codes.
SOURCES = list(dict.fromkeys(PRESETS + PACKED))
ACTIVATIONS = """none int8-token int4-token fp8-token int8-g64 int8-tensor-dynamic fp8-g128 int8-tensor int8-tensor-asym int4-tensor
fp8-tensor fp8-tensor-dynamic int8-token-asym nvfp4""".split()
CLIENTS = "vllm transformers llama.cpp gptqmodel vllm@0.10".split()
METHODS = {
    "rtn": ("rtn",),
    "awq": ("awq:grid=4",),
    "awq-scale": ("awq:grid=4,clip=off,duo=off",),
    "awq-clip": ("awq:scale=off,importance=off",),
    "gptq": ("gptq",),
    "gptq-plain": ("gptq:order=plain,damp=0.05",),
    "gptq-block": ("gptq:order=block,importance=off",),
    "gptq-static": ("gptq:order=static,values=bf16",),
    "gptq-correct": ("gptq:correct=0.5",),
    "smoothquant": ("smoothquant",),
    "smoothquant-auto": ("smoothquant:alpha=auto",),
    "zeroquant": ("zeroquant",),
    "awq+gptq": ("awq:grid=4", "gptq"),
    "smoothquant+gptq": ("smoothquant:alpha=0.8", "gptq"),
    "smoothquant+awq": ("smoothquant", "awq:grid=4"),
}
BASES = {
    "llama": "llama3-rope", "llama-second": "llama3-rope", "llama-patterns": "llama-biases", "mistral-head": "mistral-window",
    "qwen2": "qwen2", "qwen3-outer": "qwen3", "mixtral": "mixtral", "gpt2": "gpt2", "bloom": "bloom", "opt": "opt",
    "opt-projected": "opt-post-norm",
}
FEW = ("--samples", "4", "--context", "64")
TEXT = ("--calibration", "in/text.txt")
# Slow block types are used only for the blocks: embedding and output matrix are most of a cut model.
ENDS_PLAIN = ("--embedding-scheme", "q8_0", "--output-scheme", "q8_0")


class Row:
    def __init__(self, name, *arguments, out="out", makes=None):
        self.name, self.out, self.makes = name, out, makes
        command = [] if arguments[0] in ("calibrate", "plan") else ["convert"]
        self.arguments = [*command, *(out if part is Row else str(part) for part in arguments)]

    def inputs(self):
        return [part.split(":")[0] for part in self.arguments if part.startswith("in/")]


OUT = Row  # stands for the output's name among the arguments of a row


def methods(names):
    return [(name, [part for method in METHODS[name] for part in ("--plugin", method)]) for name in names]


def names(inputs, prefix):
    return sorted(path.name for path in inputs.iterdir() if path.is_dir() and path.name.startswith(prefix))


def starts(inputs):
    """Rows whose outputs other rows read."""
    yield Row("start/importance.gguf", "calibrate", "in/short", OUT, *FEW, *TEXT, out="importance.gguf", makes="importance.gguf")
    yield Row("start/importance.dat", "calibrate", "in/short", OUT, *FEW, *TEXT, out="importance.dat", makes="importance.dat")
    yield Row("start/statistics", "calibrate", "in/short", OUT, *FEW, *TEXT, out="short.stats", makes="short.stats")
    for scheme in ("f32", "bf16", "q8_0", "q4_k_m", "q4_0"):
        yield Row(f"start/short.{scheme}.gguf", "in/short", OUT, "--scheme", scheme, out="out.gguf", makes=f"short.{scheme}.gguf")
    for scheme in SOURCES:
        yield Row(f"start/short-{scheme}", "in/short", OUT, "--scheme", scheme, *FEW, makes=f"short-{scheme}")
    for model in [*names(inputs, "engine-"), *names(inputs, "wide-")]:
        yield Row(f"start/{model}.gguf", f"in/{model}", OUT, "--scheme", "bf16", out="out.gguf", makes=f"{model}.gguf")
    for adapter, base in BASES.items():
        source = f"in/lora-{adapter}"
        yield Row(f"start/{adapter}.gguf", source, OUT, "--base", f"in/engine-{base}", out="out.gguf", makes=f"lora-{adapter}.gguf")


def block_rows():
    """Into GGUF: every mix of the whole small model, every block type with and without importance and with the wider search."""
    importance = ("--importance", "in/importance.gguf")
    for mix in MIXES:
        if not mix.startswith(("iq1", "iq2", "iq3")):
            yield Row(f"mix/tiny-llama/{mix}", "in/tiny-llama", OUT, "--scheme", mix, out="out.gguf")
        yield Row(f"mix/short/{mix}", "in/short", OUT, "--scheme", mix, out="out.gguf")
        yield Row(f"mix/importance/{mix}", "in/short", OUT, "--scheme", mix, *importance, out="out.gguf")
    for block in BLOCKS:
        ends = ENDS_PLAIN if block.startswith("iq") else ()
        pure = ("in/short", OUT, "--pure", "--scheme", block)
        yield Row(f"blocks/{block}", *pure, *ends, out="out.gguf")
        yield Row(f"blocks/importance/{block}", *pure, *ENDS_PLAIN, *importance, out="out.gguf")
    for block in SEARCHED:
        best = ("in/short", OUT, "--pure", "--scheme", block, "--search", "best", *ENDS_PLAIN)
        yield Row(f"blocks/best/{block}", *best, out="out.gguf")
        yield Row(f"blocks/best-importance/{block}", *best, *importance, out="out.gguf")
    old = ("in/short", OUT, "--scheme", "q4_k_m", "--importance", "in/importance.dat")
    yield Row("importance/dat", *old, out="out.gguf")
    yield Row("importance/included", *old, "--include-weights", "ffn_up", out="out.gguf")
    yield Row("importance/excluded", *old, "--exclude-weights", "attn_v", out="out.gguf")


def folder_rows():
    """Into folders and single files: every scheme, every preset, packings, clients, activations."""
    for scheme in [*INTEGERS, *FLOATS, "f32", "f16", "bf16", "keep"]:
        yield Row(f"folder/{scheme}", "in/short", OUT, "--scheme", scheme)
    for preset in PRESETS:
        yield Row(f"preset/{preset}", "in/tiny-llama", OUT, "--scheme", preset, *FEW)
        yield Row(f"lone/{preset}", "in/short", OUT, "--scheme", preset, *FEW, out="out.safetensors")
        for client in CLIENTS:
            yield Row(f"client/{client}/{preset}", "in/short", OUT, "--scheme", preset, "--for", client, *FEW)
        yield Row(f"kv/{preset}", "in/short", OUT, "--scheme", preset, "--kv-cache", "fp8", *FEW)
        for chain, plugins in methods(["gptq", "awq", "smoothquant", "smoothquant+gptq"]):
            yield Row(f"preset/{preset}/{chain}", "in/short", OUT, "--scheme", preset, *plugins, *FEW)
    for scheme in ("f32", "f16", "bf16", "keep", "int4-g128", "fp8-channel", "nf4", "llm-int8"):
        yield Row(f"lone/{scheme}", "in/short", OUT, "--scheme", scheme, out="out.safetensors")
    for scheme in PACKED:
        for packing in PACKINGS:
            yield Row(f"packing/{packing}/{scheme}", "in/short", OUT, "--scheme", scheme, "--packing", packing)
    for activations in ACTIVATIONS:
        for scheme in ("int8-channel", "fp8-channel", "fp8-tensor", "nvfp4"):
            options = ("--scheme", scheme, "--activations", activations)
            yield Row(f"activations/{activations}/{scheme}", "in/short", OUT, *options, *FEW)
    for calibrator in ("minmax", "percentile", "percentile:99.9", "entropy", "mse"):
        for preset in ("w8a8-static", "fp8-static", "nvfp4"):
            yield Row(f"calibrator/{calibrator}/{preset}", "in/short", OUT, "--scheme", preset, "--calibrator", calibrator, *FEW)


def method_rows():
    """Every method and chain on every kind of output, and the ways to calibrate."""
    for name, plugins in methods(METHODS):
        for scheme in "w4a16 w8a8 int4-g128-asym int3-g128 fp8-static fp8-block nvfp4 mxfp4 nf4 zeroquant-w4a8 f32".split():
            yield Row(f"method/{name}/{scheme}", "in/short", OUT, "--scheme", scheme, *plugins, *FEW)
        for scheme in "q8_0 q4_0 q4_k q6_k iq4_nl".split():
            options = ("--scheme", scheme, "--pure", *ENDS_PLAIN, *plugins, *FEW)
            yield Row(f"method/{name}/{scheme}.gguf", "in/short", OUT, *options, out="out.gguf")
    for scheme in "q4_k_m q2_k q3_k q5_k iq4_xs q4_1 q5_0 q5_1 tq2_0 mxfp4 nvfp4 iq3_s".split():
        for name, plugins in methods(["gptq", "awq-scale"]):
            options = ("--scheme", scheme, "--pure", *ENDS_PLAIN, *plugins, *FEW)
            yield Row(f"method/{name}/{scheme}.gguf", "in/short", OUT, *options, out="out.gguf")
    few = ("--samples", "3", "--context", "48")
    calibrations = {
        "text": (*FEW, *TEXT), "seed": (*FEW, "--seed", "7"), "bos": (*FEW, "--bos", "on"), "original": (*FEW, "--propagate", "original"),
        "quantized": (*FEW, "--propagate", "quantized"), "sequential": (*FEW, "--true-sequential"),
        "bf16": (*FEW, "--products", "bf16"), "statistics": ("--stats", "in/short.stats"), "fewer": few,
    }
    for name, options in calibrations.items():
        for chain, plugins in methods(["awq", "gptq", "awq+gptq", "smoothquant"]):
            yield Row(f"calibration/{name}/{chain}", "in/short", OUT, "--scheme", "w4a16", *plugins, *options)
            yield Row(f"calibration/{name}/{chain}.gguf", "in/short", OUT, "--scheme", "q4_0", *ENDS_PLAIN, *plugins, *options, out="out.gguf")
    for name, plugins in methods(["gptq", "awq", "smoothquant"]):
        for scheme in ("w4a16", "w8a8"):
            yield Row(f"whole/{name}/{scheme}", "in/tiny-llama", OUT, "--scheme", scheme, *plugins, *FEW)
        yield Row(f"whole/{name}/q4_0.gguf", "in/tiny-llama", OUT, "--scheme", "q4_0", *plugins, *FEW, out="out.gguf")


def family_rows(inputs):
    """Every family in both formats, narrow and wide."""
    few = ("--samples", "8", "--context", "32", *TEXT)
    for model in names(inputs, "engine-"):
        for scheme in "f32 bf16 f16 keep int4-g4 int8-channel fp8-channel nf4 llm-int8 w8a8 w4a16".split():
            yield Row(f"family/{model}/{scheme}", f"in/{model}", OUT, "--scheme", scheme)
        for scheme in "f32 f16 q8_0 q4_0 q5_1 q4_k_m iq4_nl".split():
            yield Row(f"family/{model}/{scheme}.gguf", f"in/{model}", OUT, "--scheme", scheme, out="out.gguf")
            yield Row(f"family/{model}.gguf/{scheme}.gguf", f"in/{model}.gguf", OUT, "--scheme", scheme, out="out.gguf")
        for scheme in "f32 bf16 keep int8-channel".split():
            yield Row(f"family/{model}.gguf/{scheme}", f"in/{model}.gguf", OUT, "--scheme", scheme)
        yield Row(f"family/{model}/dropped", f"in/{model}", OUT, "--scheme", "f32", "--drop-blocks", "0")
        yield Row(f"family/{model}/dropped.gguf", f"in/{model}", OUT, "--scheme", "f32", "--drop-blocks", "1", out="out.gguf")
        for name, plugins in methods(["gptq", "awq", "smoothquant", "awq+gptq", "gptq-correct"]):
            yield Row(f"family/{model}/{name}", f"in/{model}", OUT, "--scheme", "int4-g4", *plugins, *few)
            yield Row(f"family/{model}/{name}.gguf", f"in/{model}", OUT, "--scheme", "q4_0", *plugins, *few, out="out.gguf")
            yield Row(f"family/{model}.gguf/{name}.gguf", f"in/{model}.gguf", OUT, "--scheme", "q4_0", *plugins, *few, out="out.gguf")
        yield Row(f"family/{model}/static", f"in/{model}", OUT, "--scheme", "w8a8-static", "--kv-cache", "fp8", *few)
        yield Row(f"family/{model}/importance", "calibrate", f"in/{model}", OUT, *few, out="out.gguf")
    for model in names(inputs, "wide-"):
        for preset in PRESETS:
            # A text has an effect only if something is observed on it.
            few = ("--samples", "2", "--context", "32", *TEXT) if preset in ("w8a8-static", "fp8-static", "nvfp4") else ()
            yield Row(f"wide/{model}/{preset}", f"in/{model}", OUT, "--scheme", preset, *few)
        for packing, scheme in (("gptq", "int4-g128"), ("awq", "int4-g128-asym"), ("fp8", "fp8-tensor"), ("bitsandbytes", "nf4"),
                                ("gpt-oss", "mxfp4")):
            yield Row(f"wide/{model}/packed-{packing}", f"in/{model}", OUT, "--scheme", scheme, "--packing", packing)
        for scheme in "q4_k_m q2_k q3_k_m q5_k_s q6_k iq4_xs iq3_s mxfp4_moe mxfp4 nvfp4 tq1_0 q1_0".split():
            yield Row(f"wide/{model}/{scheme}.gguf", f"in/{model}", OUT, "--scheme", scheme, out="out.gguf")
        yield Row(f"wide/{model}.gguf/w4a16", f"in/{model}.gguf", OUT, "--scheme", "w4a16")
        yield Row(f"wide/{model}.gguf/q4_k_m.gguf", f"in/{model}.gguf", OUT, "--scheme", "q4_k_m", out="out.gguf")


def move_rows():
    """Codes from one format into another, edited GGUF files, split files."""
    for source in SOURCES:
        for packing in ("plain", "pack-quantized", "int-quantized", "float-quantized", "gptq", "gptq_v2", "awq", "fp8", "fp8-block",
                        "modelopt-fp8", "modelopt-nvfp4", "nvfp4-pack-quantized"):
            yield Row(f"move/{source}/{packing}", f"in/short-{source}", OUT, "--packing", packing)
        for scheme in ("keep", "bf16", "f32"):
            yield Row(f"move/{source}/{scheme}", f"in/short-{source}", OUT, "--scheme", scheme)
        for scheme in ("keep", "q4_0", "q4_1", "q8_0", "f16", "mxfp4", "nvfp4"):
            yield Row(f"move/{source}/{scheme}.gguf", f"in/short-{source}", OUT, "--scheme", scheme, out="out.gguf")
        yield Row(f"move/{source}/again", f"in/short-{source}", OUT, "--scheme", "int4-g32", "--allow-requantize")
    for source in ("f32", "bf16", "q8_0", "q4_k_m", "q4_0"):
        gguf = f"in/short.{source}.gguf"
        for scheme in ("keep", "bf16", "f16", "w4a16", "int8-channel", "fp8-channel", "nf4", "int4-g32", "w8a8"):
            yield Row(f"gguf/{source}/{scheme}", gguf, OUT, "--scheme", scheme)
        yield Row(f"gguf/{source}/bf16.safetensors", gguf, OUT, "--scheme", "bf16", out="out.safetensors")
        for scheme in ("keep", "f32", "q8_0", "q4_k_m", "q3_k_s", "iq4_xs"):
            yield Row(f"gguf/{source}/{scheme}.gguf", gguf, OUT, "--scheme", scheme, out="out.gguf")
            yield Row(f"gguf/{source}/{scheme}-again.gguf", gguf, OUT, "--scheme", scheme, "--allow-requantize", out="out.gguf")
    file, folder = "in/short.bf16.gguf", "in/short"
    edits = {
        "set": ("--set-meta", "general.name=str:Small", "--set-meta", "test.list=u32:7"),
        "drop": ("--drop-meta", "general.name"),
        "override": ("--override-kv", "llama.context_length=int:128"),
        "keep": ("--keep", "*attn_v*"),
        "tensor": ("--tensor", "*ffn_down*=q6_k", "--tensor", "re:attn_[qk]=q5_0"),
        "type": ("--tensor-type", "attn_v=q5_1"),
        "leave": ("--leave-output-tensor",),
        "embedding": ("--embedding-scheme", "q5_0", "--output-scheme", "q6_k"),
        "pure": ("--pure",),
        "dropped": ("--drop-blocks", "1"),
        "split": ("--shard-size", "500KB"),
        "split-large": ("--split-max-size", "2MiB"),
        "keep-split": ("--keep-split",),
        "alignment": ("--set-meta", "general.alignment=u32:64"),
    }
    for name, options in edits.items():
        for kind, source in (("folder", folder), ("gguf", file), ("shards", "in/tiny-llama")):
            yield Row(f"edit/{kind}/{name}.gguf", source, OUT, "--scheme", "q4_0", *options, out="out.gguf")
    edits = {
        "keep": ("--keep", "*v_proj*"), "tensor": ("--tensor", "*down_proj*=int8-channel"), "head": ("--tensor", "lm_head.weight=int4-g64"),
        "dropped": ("--drop-blocks", "0"), "split": ("--shard-size", "500KB"), "split-large": ("--shard-size", "3MB"),
        "keep-split": ("--keep-split",), "embedding": ("--embedding-scheme", "int4-g128"),
    }
    for name, options in edits.items():
        for kind, source in (("folder", folder), ("gguf", file), ("shards", "in/tiny-llama")):
            yield Row(f"edit/{kind}/{name}", source, OUT, "--scheme", "w4a16", *options)
            yield Row(f"edit/{kind}/{name}-plain", source, OUT, "--scheme", "bf16", *options)


def adapter_rows():
    for adapter, base in BASES.items():
        model, lora = f"in/engine-{base}", f"in/lora-{adapter}"
        for scheme in ("f32", "bf16", "int4-g4"):
            yield Row(f"adapter/{adapter}/{scheme}", model, OUT, "--scheme", scheme, "--lora", lora)
            yield Row(f"adapter/{adapter}/half-{scheme}", model, OUT, "--scheme", scheme, "--lora", f"{lora}:0.5")
        for scheme in ("f32", "q8_0"):
            yield Row(f"adapter/{adapter}/{scheme}.gguf", model, OUT, "--scheme", scheme, "--lora", lora, out="out.gguf")
            yield Row(f"adapter/{adapter}/{scheme}-from.gguf", f"{model}.gguf", OUT, "--scheme", scheme, "--lora", lora, out="out.gguf")
        yield Row(f"adapter/{adapter}.gguf/f32", model, OUT, "--scheme", "f32", "--lora", f"{lora}.gguf")
        yield Row(f"adapter/{adapter}.gguf/folder", f"{lora}.gguf", OUT, "--base", model)
        yield Row(f"adapter/{adapter}.gguf/lone", f"{lora}.gguf", OUT, out="out.gguf")
        yield Row(f"adapter/{adapter}/folder", lora, OUT)
        yield Row(f"adapter/{adapter}/f16.gguf", lora, OUT, "--base", model, "--scheme", "f16", out="out.gguf")
        yield Row(f"adapter/{adapter}/folder-f16", lora, OUT, "--scheme", "f16")
    both = ("--lora", "in/lora-llama", "--lora", "in/lora-llama-second:0.25")
    yield Row("adapter/two/f32", "in/engine-llama3-rope", OUT, "--scheme", "f32", *both)
    yield Row("adapter/two/gptq", "in/engine-llama3-rope", OUT, "--scheme", "int4-g16", "--plugin", "gptq", *both, *FEW, *TEXT)


def saved_rows(inputs):
    """Files of torch.save, sound and hostile."""
    for path in sorted((inputs / "pytorch").glob("*/*.bin")):
        for scheme in ("keep", "f32"):
            name = f"saved/{path.parent.name}/{path.stem}/{scheme}"
            yield Row(name, f"in/pytorch/{path.parent.name}/{path.name}", OUT, "--scheme", scheme, out="out.safetensors")


def token_rows(inputs):
    """Tokenizers into GGUF and out of it."""
    for model in names(inputs, "tokens-"):
        yield Row(f"tokens/{model}.gguf", f"in/{model}", OUT, "--scheme", "q8_0", out="out.gguf")
        yield Row(f"tokens/{model}/forced.gguf", f"in/{model}", OUT, "--scheme", "q8_0", "--pre", "gpt-2", out="out.gguf")


def shared_rows(inputs):
    for model in names(inputs, "models-"):
        for scheme in "bf16 w4a16 w8a8 fp8 nvfp4 mxfp4a16 nf4 int4-g32".split():
            yield Row(f"shared/{model}/{scheme}", f"in/{model}", OUT, "--scheme", scheme, *FEW)
        for scheme in "f16 q8_0 q4_k_m q2_k iq4_xs q4_0".split():
            yield Row(f"shared/{model}/{scheme}.gguf", f"in/{model}", OUT, "--scheme", scheme, out="out.gguf")
        drop = ("--drop-blocks", "2,3,4")
        for name, plugins in methods(["gptq", "awq", "smoothquant", "zeroquant", "smoothquant+gptq"]):
            for scheme in ("w4a16", "w8a8"):
                yield Row(f"shared/{model}/{name}/{scheme}", f"in/{model}", OUT, "--scheme", scheme, *plugins, *drop, *FEW)
            yield Row(f"shared/{model}/{name}/q4_0.gguf", f"in/{model}", OUT, "--scheme", "q4_0", *plugins, *drop, *FEW, out="out.gguf")


def golden_rows(inputs, prefix):
    """Folders of other tools: kept, repacked into every packing and into GGUF, requantized."""
    # They have no tokenizer, and most have 512 of their model's 4096 tokens.
    tokenizer = ("--tokenizer", "in/ascii")
    for model in names(inputs, prefix + "-"):
        for packing in PACKINGS:
            if packing.startswith("gguf"):
                continue
            yield Row(f"{prefix}/{model}/{packing}", f"in/{model}", OUT, "--packing", packing)
        for scheme in ("keep", "bf16", "f32"):
            yield Row(f"{prefix}/{model}/{scheme}", f"in/{model}", OUT, "--scheme", scheme)
        for scheme in ("keep", "q4_0", "q4_1", "q8_0", "f16", "mxfp4", "nvfp4"):
            yield Row(f"{prefix}/{model}/{scheme}.gguf", f"in/{model}", OUT, "--scheme", scheme, *tokenizer, out="out.gguf")
        yield Row(f"{prefix}/{model}/again", f"in/{model}", OUT, "--scheme", "int4-g32", "--allow-requantize")
        again = ("--scheme", "int4-g128", "--allow-requantize", "--plugin", "gptq", *tokenizer, *FEW)
        yield Row(f"{prefix}/{model}/rounded-again", f"in/{model}", OUT, *again)


def rest(inputs):
    """All rows but those of `starts`."""
    yield from block_rows()
    yield from folder_rows()
    yield from method_rows()
    yield from family_rows(inputs)
    yield from move_rows()
    yield from adapter_rows()
    yield from saved_rows(inputs)
    yield from token_rows(inputs)
    yield from golden_rows(inputs, "cut")
    yield from shared_rows(inputs)
    yield from golden_rows(inputs, "golden")
