"""llm-compressor, and transformers with the compressed-tensors of its time."""
from answering import answer  # first: it redirects what the others print

import torch
import transformers
from llmcompressor import oneshot
from llmcompressor.modifiers.quantization import QuantizationModifier


torch.set_grad_enabled(False)
transformers.logging.set_verbosity_error()


def round_to_nearest(model, scheme, out):
    """Writes llm-compressor's folder of a model, made without data."""
    loaded = transformers.AutoModelForCausalLM.from_pretrained(model, dtype="auto")
    oneshot(model=loaded, recipe=QuantizationModifier(targets="Linear", scheme=scheme, ignore=["lm_head"]))
    loaded.save_pretrained(out, save_compressed=True)


def logits(folder, ids, out):
    """Writes the logits of token ids to `out` as raw F32, computed in F32."""
    unpacked = transformers.CompressedTensorsConfig(run_compressed=False)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, quantization_config=unpacked).eval()
    # Its own method refuses to widen weights that the library unpacked to a shorter type.
    torch.nn.Module.float(model)
    model(torch.tensor([ids])).logits[0].numpy().tofile(out)


answer(round_to_nearest=round_to_nearest, logits=logits)
