"""NVIDIA's ModelOpt."""
from answering import answer  # first: it redirects what the others print

import copy

import modelopt.torch.quantization as quantization
import torch
import transformers
from modelopt.torch.export import export_hf_checkpoint

torch.set_grad_enabled(False)
transformers.logging.set_verbosity_error()


def fp8_with_cache(model, batches, out):
    """Writes ModelOpt's export of a model with FP8 weights, inputs, keys and values, calibrated on token ids."""
    loaded = transformers.AutoModelForCausalLM.from_pretrained(model, dtype="auto").eval()
    config = copy.deepcopy(quantization.FP8_DEFAULT_CFG)
    config["quant_cfg"] += quantization.FP8_KV_CFG["quant_cfg"]
    quantization.quantize(loaded, config, lambda module: [module(torch.tensor([ids])) for ids in batches])
    export_hf_checkpoint(loaded, dtype=torch.bfloat16, export_dir=out)


answer(fp8_with_cache=fp8_with_cache)
