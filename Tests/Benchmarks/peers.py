"""peers.py PROGRAM METHOD MODEL TEXT OUT: quantizes with another program, on the windows that qconvert uses. Called by methods.py.

PROGRAM is llm-compressor, GPTQModel or AutoAWQ, each with its own defaults at 4 bits in groups of 128. METHOD may end in
"-f32": the model is then loaded in F32 instead of the type of its file.
"""
import os
import sys

SAMPLES, CONTEXT = 128, 256


def windows(model, text):
    """128 windows of 256 tokens, spread evenly over the text."""
    from transformers import AutoTokenizer
    ids = AutoTokenizer.from_pretrained(model)(open(text, encoding="utf-8").read(), add_special_tokens=False)["input_ids"]
    whole = len(ids) // CONTEXT
    return [ids[i * whole // SAMPLES * CONTEXT:][:CONTEXT] for i in range(SAMPLES)]


def gptqmodel(model, text, out):
    # Its default number of workers suits machines with many cores; without a limit, two cores wait for each other.
    os.environ.setdefault("GPTQMODEL_CPU_WORKERS", str(len(os.sched_getaffinity(0))))
    from gptqmodel import GPTQModel, QuantizeConfig
    loaded = GPTQModel.load(model, QuantizeConfig(bits=4, group_size=128), device="cpu")
    loaded.quantize([{"input_ids": ids, "attention_mask": [1] * CONTEXT} for ids in windows(model, text)], batch_size=1)
    loaded.save(out)


def llmcompressor(method, dtype, model, text, out):
    from datasets import Dataset
    from llmcompressor import oneshot
    from llmcompressor.modifiers.quantization import GPTQModifier, QuantizationModifier
    from llmcompressor.modifiers.transform.awq import AWQModifier
    from llmcompressor.pipelines.cache import IntermediatesCache
    from transformers import AutoModelForCausalLM
    # Pinned memory needs an accelerator; AWQ requests it without checking for one.
    IntermediatesCache.pin_memory = lambda *_: None
    target = {"targets": "Linear", "scheme": "W4A16", "ignore": ["lm_head"]}
    recipe = [AWQModifier(), QuantizationModifier(**target)] if method == "awq" else [GPTQModifier(**target)]
    data = Dataset.from_dict({"input_ids": windows(model, text), "attention_mask": [[1] * CONTEXT] * SAMPLES})
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=dtype)
    oneshot(model=loaded, dataset=data, recipe=recipe, max_seq_length=CONTEXT, num_calibration_samples=SAMPLES)
    loaded.save_pretrained(out, save_compressed=True)


def autoawq(dtype, model, text, out):
    from awq import AutoAWQForCausalLM
    from awq.quantize import quantizer
    # On a CPU, `v.cpu()` does not copy: the "original" weights, to which the search returns after each candidate, would keep the
    # scales of the first. Loading from copies makes it the search that its authors describe.
    import torch
    original = torch.nn.Module.state_dict

    class Copying(quantizer.AwqQuantizer):
        def _compute_best_scale(self, x, w_mean, x_mean, module2inspect, *rest, **more):
            module2inspect.state_dict = lambda: {k: v.clone() for k, v in original(module2inspect).items()}
            try:
                return super()._compute_best_scale(x, w_mean, x_mean, module2inspect, *rest, **more)
            finally:
                del module2inspect.state_dict

    loaded = AutoAWQForCausalLM.from_pretrained(model, torch_dtype=dtype, device_map="cpu")
    loaded.quantize(
        None, quant_config={"zero_point": True, "q_group_size": 128, "w_bit": 4, "version": "GEMM"}, quantizer_cls=Copying,
        calib_data=windows(model, text), max_calib_samples=SAMPLES, max_calib_seq_len=CONTEXT)
    loaded.save_quantized(out)


def main():
    program, method, model, text, out = sys.argv[1:]
    method, _, dtype = method.partition("-")
    dtype = "float32" if dtype == "f32" else "auto"
    if program == "GPTQModel":
        gptqmodel(model, text, out)
    elif program == "AutoAWQ":
        autoawq(dtype, model, text, out)
    else:
        llmcompressor(method, dtype, model, text, out)


main()
