"""vLLM's CPU build."""
from answering import answer  # first: it redirects what the others print

import gc
import pathlib

import safetensors
import torch
import vllm
from vllm.distributed import cleanup_dist_env_and_memory
from vllm.model_executor.layers.quantization import get_quantization_config
from vllm.model_executor.layers.quantization.kv_cache import BaseKVCacheMethod
from vllm.model_executor.model_loader.weight_utils import maybe_remap_kv_scale_name


def log_probabilities(folder, prompts):
    """For each list of token ids, the log-probability of every token but the first."""
    engine = vllm.LLM(
        model=folder, skip_tokenizer_init=True, dtype="bfloat16", enforce_eager=True, max_model_len=512, enable_prefix_caching=False)
    try:
        asked = vllm.SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=0, detokenize=False)
        answers = engine.generate([{"prompt_token_ids": ids} for ids in prompts], asked, use_tqdm=False)
        return [
            [found[token].logprob for found, token in zip(answer.prompt_logprobs[1:], ids[1:])] for answer, ids in zip(answers, prompts)]
    finally:
        del engine
        gc.collect()
        cleanup_dist_env_and_memory()


class Attention(torch.nn.Module):
    """The part of an attention layer that is needed to load the scales of its cache."""

    def __init__(self, method):
        super().__init__()
        self.kv_cache_dtype, self.calculate_kv_scales = "fp8", False
        for name in ("_k_scale", "_v_scale", "_q_scale", "_prob_scale"):
            self.register_buffer(name, torch.ones(()))
        self._k_scale_cpu, self._v_scale_cpu = torch.ones(()), torch.ones(())
        method.create_weights(self)


def cache_scales(folder, method, description, blocks):
    """The scales of keys and values that each block computes with under this quantization. The layers of this method have no CPU
    kernels: only their caches are set up, by the functions that do it for a whole model."""
    config = get_quantization_config(method).from_config(description)
    algorithm = getattr(config, "kv_cache_quant_method", None) or getattr(config, "kv_cache_quant_algo", None)
    if algorithm != "FP8":
        raise ValueError(f"the cache is rounded with {algorithm}")
    loader = BaseKVCacheMethod(config)
    layers = [Attention(loader) for _ in range(blocks)]
    expected = {
        f"model.layers.{block}.self_attn.attn.{name}": parameter
        for block, layer in enumerate(layers) for name, parameter in layer.named_parameters()}
    for file in sorted(pathlib.Path(folder).glob("*.safetensors")):
        with safetensors.safe_open(file, "pt") as tensors:
            for name in tensors.keys():
                if name.endswith((".k_scale", ".v_scale")):
                    parameter = expected[maybe_remap_kv_scale_name(name, expected)]
                    parameter.weight_loader(parameter, tensors.get_tensor(name))
    for layer in layers:
        loader.process_weights_after_loading(layer)
    return [[layer._k_scale.item(), layer._v_scale.item()] for layer in layers]


answer(log_probabilities=log_probabilities, cache_scales=cache_scales)
