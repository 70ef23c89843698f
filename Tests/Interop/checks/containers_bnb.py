"""bitsandbytes folders load in transformers and have qconvert's weights, and qconvert reads those that transformers saves."""
import bitsandbytes
import torch
import transformers
from bitsandbytes.functional import dequantize_4bit, int8_vectorwise_dequant

from checks.logits import deviation, own_logits
from clients import WORK, convert
from models import TINY_LLAMA, vocabulary_size
from registry import check, require

WRITTEN = ["nf4", "fp4", "nf4-g128", "llm-int8"]
SAVED = {
    "nf4": dict(load_in_4bit=True, bnb_4bit_quant_type="nf4"),
    "nf4-double": dict(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True),
    "fp4-double": dict(load_in_4bit=True, bnb_4bit_quant_type="fp4", bnb_4bit_use_double_quant=True),
    "int8": dict(load_in_8bit=True),
}


def dequantized(module):
    """The F32 weights of a layer, as the library computes them."""
    weight = module.weight
    if isinstance(module, bitsandbytes.nn.Linear4bit):
        state = weight.quant_state
        dtype, state.dtype = state.dtype, torch.float32
        values = dequantize_4bit(weight.data, state)
        state.dtype = dtype
        return values
    return int8_vectorwise_dequant(weight.data, module.state.SCB if module.state.SCB is not None else weight.SCB).float()


def compare(folder, model):
    """The logits of `folder` by qconvert against those of a loaded model, as it runs and with its weights in F32."""
    torch.manual_seed(3)
    ids = torch.randint(0, vocabulary_size(folder), (64,))
    path = WORK / "bnb.ids"
    path.write_text(" ".join(map(str, ids.tolist())))
    own = own_logits(folder, path)
    layers = {
        name: module for name, module in model.named_modules()
        if isinstance(module, (bitsandbytes.nn.Linear4bit, bitsandbytes.nn.Linear8bitLt))
    }
    require(len(layers) == 7 * 8, f"{len(layers)} quantized layers instead of {7 * 8}")
    # Running the model repacks its weights for the CPU.
    weights = {name + ".weight": dequantized(module) for name, module in layers.items()}
    weights |= {name: value.float() for name, value in model.state_dict().items() if not any(name.startswith(layer + ".") for layer in layers)}
    # The library's own products round their inputs.
    running = deviation(own, model(ids[None]).logits[0].float())
    require(running < 0.1, f"deviation {running:.1e} from the model as it runs")
    plain = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(TINY_LLAMA), torch_dtype=torch.float32).eval()
    plain.load_state_dict(weights)
    exact = deviation(own, plain(ids[None]).logits[0])
    require(exact < 1e-4, f"deviation {exact:.1e} from its weights in F32")
    return f"{exact:.1e} from its weights in F32, {running:.1e} from the model as it runs"


@check("{} folder in transformers with bitsandbytes gives qconvert's logits", WRITTEN)
def loads(scheme):
    folder = convert(TINY_LLAMA, WORK / f"tiny-llama-{scheme}", "--scheme", scheme)
    return compare(folder, transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, device_map="cpu").eval())


@check("qconvert reads the {} folder that transformers saves", SAVED)
def reads(name):
    folder = WORK / f"saved-{name}"
    model = transformers.AutoModelForCausalLM.from_pretrained(
        TINY_LLAMA, dtype=torch.float32, device_map="cpu", quantization_config=transformers.BitsAndBytesConfig(**SAVED[name])).eval()
    model.save_pretrained(folder)
    return compare(folder, model)
