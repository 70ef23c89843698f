"""Folders with more than weights in them: what is written loads as what was read does, companions included."""
import filecmp
import functools
import json
import os
import shutil

import numpy
import peft
import torch
import transformers

from checks.logits import deviation
from clients import FIXTURES, WORK, convert, llama
from registry import check, require

SOURCE = FIXTURES / "models" / "tiny-llama"
TEXT = "The cat <|tool|> is in the house."
IDS = [5, 300, 17, 2048, 4000, 42]


def copied(name):
    """The fixture in a folder of its own."""
    folder = WORK / name
    shutil.copytree(SOURCE, folder)
    return folder


def logits(folder, **options):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options).eval()
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0]


def same_files(first, second, names):
    for name in names:
        require((second / name).is_file(), f"{name} was not carried along")
        require(filecmp.cmp(first / name, second / name, shallow=False), f"{name} is not the same")


@check("folder with code of its own: it loads with trust_remote_code as its source does")
def code_is_carried():
    folder = copied("remote-code")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "x", "auto_map": {"AutoConfig": "configuration_x.XConfig", "AutoModelForCausalLM": "modeling_x.XForCausalLM"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "configuration_x.py").write_text(
        "from transformers import LlamaConfig\n\n\nclass XConfig(LlamaConfig):\n    model_type = 'x'\n")
    # A client without the code would compute other logits.
    (folder / "modeling_x.py").write_text(
        "from transformers import LlamaForCausalLM\n\nfrom .configuration_x import XConfig\n\n\n"
        "class XForCausalLM(LlamaForCausalLM):\n    config_class = XConfig\n\n"
        "    def forward(self, *values, **options):\n        made = super().forward(*values, **options)\n"
        "        made.logits = made.logits * 2\n        return made\n")
    written = convert(folder, WORK / "remote-code.f32", "--scheme", "f32")
    same_files(folder, written, ["configuration_x.py", "modeling_x.py"])
    expected = logits(folder, trust_remote_code=True)
    measured = deviation(logits(written, trust_remote_code=True).numpy().ravel(), expected)
    require(measured < 1e-6, f"deviation {measured:.1e}")
    require(deviation(logits(SOURCE).numpy().ravel() * 2, expected) < 1e-6, "the code was not run")


@check("adapter with tokens and a chat template: it loads in PEFT with them")
def adapter_keeps_its_tokenizer():
    base = transformers.AutoModelForCausalLM.from_pretrained(SOURCE, dtype=torch.float32)
    model = peft.get_peft_model(base, peft.LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM", init_lora_weights=False))
    folder = WORK / "adapter-with-tokens"
    model.save_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(SOURCE)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|tool|>"]})
    tokenizer.chat_template = "{% for m in messages %}<|tool|>{{ m.content }}{% endfor %}"
    tokenizer.save_pretrained(folder)
    written = convert(folder, WORK / "adapter-with-tokens.f32", "--to", "peft", "--scheme", "f32")
    loaded = transformers.AutoTokenizer.from_pretrained(written)
    require(loaded(TEXT)["input_ids"] == tokenizer(TEXT)["input_ids"], "the tokenizer gives other ids")
    require(loaded.chat_template == tokenizer.chat_template, "the chat template is another")
    with torch.no_grad():
        expected = model.eval()(torch.tensor([IDS])).logits[0]
        plain = transformers.AutoModelForCausalLM.from_pretrained(SOURCE, dtype=torch.float32)
        found = peft.PeftModel.from_pretrained(plain, written).eval()(torch.tensor([IDS])).logits[0]
    require(deviation(found.numpy().ravel(), expected) < 1e-6, "the adapter computes something else")


@check("snapshot of the Hub's cache: links into blobs are followed, for files in folders too")
def snapshot_is_carried():
    source = copied("snapshot-source")
    (source / "1_Pooling").mkdir()
    (source / "1_Pooling" / "config.json").write_text("{}")
    cache = WORK / "hub" / "models--org--name"
    snapshot = cache / "snapshots" / "0123456789abcdef"
    (cache / "blobs").mkdir(parents=True)
    names = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
    for number, name in enumerate(names):
        blob, link = cache / "blobs" / f"blob{number}", snapshot / name
        shutil.copyfile(source / name, blob)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    written = convert(snapshot, WORK / "snapshot.f32", "--scheme", "f32")
    same_files(source, written, ["1_Pooling/config.json", "tokenizer.json", "tokenizer_config.json"])
    require(deviation(logits(written).numpy().ravel(), logits(snapshot)) < 1e-6, "other logits")
    require(not any(path.is_symlink() for path in written.rglob("*")), "the output has links")


@check("modules of sentence-transformers: the chain of modules computes the same vector")
def modules_are_carried():
    folder = copied("modules")
    torch.manual_seed(5)
    width = json.loads((folder / "config.json").read_text())["hidden_size"]
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": width, "pooling_mode_mean_tokens": True}))
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "config.json").write_text(json.dumps({"in_features": width, "out_features": 8, "bias": False}))
    torch.save({"linear.weight": torch.randn(8, width)}, folder / "2_Dense" / "pytorch_model.bin")
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")]
    (folder / "modules.json").write_text(json.dumps(
        [{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"} for i, (path, kind) in enumerate(modules)]))
    written = convert(folder, WORK / "modules.f32", "--scheme", "f32")

    def vector(root):
        """As the library chains the modules that modules.json names."""
        states = None
        for module in json.loads((root / "modules.json").read_text()):
            place, kind = root / module["path"], module["type"].split(".")[-1]
            if kind == "Transformer":
                model = transformers.AutoModel.from_pretrained(place, dtype=torch.float32).eval()
                with torch.no_grad():
                    states = model(torch.tensor([IDS])).last_hidden_state[0]
            elif kind == "Pooling":
                require(json.loads((place / "config.json").read_text())["pooling_mode_mean_tokens"], "another pooling")
                states = states.mean(0)
            else:
                states = torch.load(place / "pytorch_model.bin", weights_only=True)["linear.weight"] @ states
        return states

    require(deviation(vector(written).numpy(), vector(folder)) < 1e-6, "another vector")


@functools.cache
def without_biases():
    """Qwen2 whose biases are not stored: transformers computes with zeros."""
    folder = copied("without-biases")
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "use_sliding_window": False}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@check("Qwen2 without biases: its GGUF in llama.cpp gives the logits of transformers")
def no_biases():
    folder = without_biases()
    written = convert(folder, WORK / "without-biases.gguf", "--scheme", "f32")
    ids, out = WORK / "without-biases.ids", WORK / "without-biases.f32"
    ids.write_text(" ".join(map(str, IDS)))
    llama("llama-logits", written, ids, out)
    measured = deviation(numpy.fromfile(out, "<f4"), logits(folder))
    require(measured < 1e-3, f"deviation {measured:.1e}")
    return f"{measured:.1e}"
