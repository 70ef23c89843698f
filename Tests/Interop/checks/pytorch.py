"""Models saved by PyTorch read like the same models in safetensors."""
import torch
import transformers

from checks.folders import stored
from checks.logits import own_logits
from clients import WORK, convert, qconvert
from gguf_files import compare_tensors
from models import TINY_LLAMA, random_ids, random_model
from registry import check, require

IDS = "1 17 300 4000 5 9 77 1234"


def saved(name):
    """A folder of tiny-llama in PyTorch files."""
    folder = WORK / f"pytorch-{name}"
    model = transformers.AutoModelForCausalLM.from_pretrained(TINY_LLAMA, dtype=torch.bfloat16)
    options = {"max_shard_size": "4MB"} if name == "sharded" else {}
    model.save_pretrained(folder, safe_serialization=False, **options)
    for file in TINY_LLAMA.glob("token*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    if name == "file":
        torch.save({"epoch": 1, "model": model.state_dict()}, folder / "checkpoint.pt", pickle_protocol=4)
        (folder / "pytorch_model.bin").unlink()
    return folder


@check("a model saved by PyTorch reads like safetensors: {}", ["single", "sharded", "file"])
def reads(name):
    folder = saved(name)
    model = folder / "checkpoint.pt" if name == "file" else folder
    shards = len(list(folder.glob("*.bin")))
    require((shards > 2) == (name == "sharded"), f"{shards} files")
    ids = WORK / "pytorch.ids"
    ids.write_text(IDS)
    require((own_logits(model, ids) == own_logits(TINY_LLAMA, ids)).all(), "logits differ")
    one, other = WORK / "pytorch.gguf", WORK / "safetensors.gguf"
    convert(model, one, "--scheme", "q4_k_m", "--force")
    convert(TINY_LLAMA, other, "--scheme", "q4_k_m", "--force")
    found = compare_tensors(one, other)
    require(not found, "; ".join(found[:3]))
    plain, source = stored(convert(model, WORK / f"pytorch-{name}-bf16", "--scheme", "bf16")), stored(TINY_LLAMA)
    require(plain.keys() == source.keys(), "other tensors")
    require(all(torch.equal(plain[key], value) for key, value in source.items()), "tensors differ")
    return f"{shards or 1} files"


@check("a random model of {} saved by PyTorch has the same logits", ["opt", "mixtral", "gpt2"])
def random_models(name):
    source, folder = random_model(name), WORK / f"{name}-pytorch"
    transformers.AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).save_pretrained(folder, safe_serialization=False)
    ids = WORK / "pytorch.ids"
    ids.write_text(" ".join(map(str, random_ids(name))))
    require((own_logits(folder, ids) == own_logits(source, ids)).all(), "logits differ")


@check("a pickle that calls a function is refused, and nothing is called")
def executes_nothing():
    marker, path = WORK / "executed", WORK / "malicious.bin"

    class Malicious:
        def __reduce__(self):
            return open, (str(marker), "w")

    torch.save({"weight": torch.ones(2, 2), "other": Malicious()}, path)
    try:
        qconvert("inspect", path)
    except RuntimeError as refusal:
        require("pt.pickle.global" in str(refusal) and "io.open" in str(refusal), str(refusal))
    else:
        raise AssertionError("it was not refused")
    require(not marker.exists(), "the function was called")
