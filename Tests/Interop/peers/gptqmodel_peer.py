"""GPTQModel, and transformers with it: the weights and logits they get from a folder."""
from answering import answer  # first: it redirects what the others print

import json
import pathlib

import torch
import transformers
from gptqmodel.nn_modules.qlinear.torch import TorchLinear
from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
from gptqmodel.utils.model import convert_gptq_v1_to_v2_format_module
from safetensors.torch import load_file, save_file


torch.set_grad_enabled(False)
transformers.logging.set_verbosity_error()


def gptq_weight(parts, config):
    """One weight matrix by GPTQModel's CPU kernel, with scales widened to F32."""
    bits, (inputs, outputs) = config["bits"], (parts["g_idx"].numel(), parts["scales"].shape[1])
    layer = TorchLinear(
        bits=bits, group_size=config["group_size"], sym=config["sym"], desc_act=config["desc_act"], in_features=inputs,
        out_features=outputs, bias=False, pack_dtype=torch.int32, register_buffers=True)
    for name, tensor in parts.items():
        setattr(layer, name, tensor.float() if name == "scales" else tensor)
    if config["checkpoint_format"] == "gptq":
        convert_gptq_v1_to_v2_format_module(layer, bits, torch.int32)
    layer.post_init()
    return layer.dequantize_weight().T.contiguous()


def weights(folder, out):
    """Writes every packed weight to `out` as F32 [out, in], unpacked by GPTQModel."""
    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text())["quantization_config"]
    stored, found = load_file(folder / "model.safetensors"), {}
    for name in [name.removesuffix("qweight") for name in stored if name.endswith(".qweight")]:
        parts = {key: stored[name + key] for key in ("qweight", "qzeros", "scales", "g_idx") if name + key in stored}
        if config["quant_method"] == "awq":
            length = config["group_size"] if config["group_size"] > 0 else parts["qweight"].shape[0]
            found[name + "weight"] = dequantize_gemm(
                parts["qweight"], parts["qzeros"], parts["scales"].float(), config["bits"], length).T.contiguous()
        else:
            found[name + "weight"] = gptq_weight(parts, config)
    save_file(found, out)


def logits(folder, ids, out):
    """Writes the logits of token ids to `out` as raw F32, computed by transformers in bfloat16."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, device_map="cpu").eval()
    model(torch.tensor([ids])).logits[0].float().numpy().tofile(out)


def lost(kind, folder):
    """The tensors that a class of transformers does not find in a folder, or has no use for."""
    _, found = getattr(transformers, kind).from_pretrained(folder, dtype=torch.float16, device_map="cpu", output_loading_info=True)
    return sorted(key for problem in ("missing_keys", "unexpected_keys", "mismatched_keys") for key in map(str, found[problem]))


answer(weights=weights, logits=logits, lost=lost)
