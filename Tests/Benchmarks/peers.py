"""peers.py PROGRAM METHOD MODEL TEXT OUT: quantizes with another program, on the windows that qconvert uses."""
import sys

from transformers import AutoTokenizer

SAMPLES, CONTEXT = 128, 256


def windows(model, text):
    """128 windows of 256 tokens, spread evenly over the text."""
    ids = AutoTokenizer.from_pretrained(model)(open(text, encoding="utf-8").read(), add_special_tokens=False)["input_ids"]
    whole = len(ids) // CONTEXT
    return [ids[i * whole // SAMPLES * CONTEXT:][:CONTEXT] for i in range(SAMPLES)]


def gptqmodel(model, tokens, out):
    from gptqmodel import GPTQModel, QuantizeConfig
    loaded = GPTQModel.load(model, QuantizeConfig(bits=4, group_size=128), device="cpu")
    loaded.quantize([{"input_ids": ids, "attention_mask": [1] * CONTEXT} for ids in tokens], batch_size=1)
    loaded.save(out)


def llmcompressor(method, model, tokens, out):
    from datasets import Dataset
    from llmcompressor import oneshot
    from llmcompressor.modifiers.awq import AWQModifier
    from llmcompressor.modifiers.quantization import GPTQModifier
    from transformers import AutoModelForCausalLM
    modifier = (AWQModifier if method == "awq" else GPTQModifier)(targets="Linear", scheme="W4A16", ignore=["lm_head"])
    data = Dataset.from_dict({"input_ids": tokens, "attention_mask": [[1] * CONTEXT] * SAMPLES})
    loaded = AutoModelForCausalLM.from_pretrained(model, torch_dtype="float32")
    oneshot(model=loaded, dataset=data, recipe=[modifier], max_seq_length=CONTEXT, num_calibration_samples=SAMPLES)
    loaded.save_pretrained(out, save_compressed=True)


def main():
    program, method, model, text, out = sys.argv[1:]
    tokens = windows(model, text)
    if program == "GPTQModel":
        gptqmodel(model, tokens, out)
    else:
        llmcompressor(method, model, tokens, out)


main()
