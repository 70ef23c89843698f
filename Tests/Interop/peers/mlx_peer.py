"""MLX and mlx-lm, on the CPU."""
from answering import answer  # first: it redirects what the others print

import mlx.core as mx
import mlx.nn as nn
import mlx_lm
import mlx_lm.utils
import numpy
from mlx_lm.models.switch_layers import QuantizedSwitchLinear

QUANTIZED = (nn.QuantizedLinear, nn.QuantizedEmbedding, QuantizedSwitchLinear)


def loaded(folder):
    return mlx_lm.load(folder)[0]


def logits(folder, ids, out, widens=True):
    """Writes the logits `[tokens, vocabulary]` as F32. With `widens`, everything that is a float becomes F32 first, so that all but the
    weights of affine groups of another type are computed in 32 bits."""
    model = loaded(folder)
    if widens:
        model.apply(lambda value: value.astype(mx.float32) if mx.issubdtype(value.dtype, mx.floating) else value)
    result = model(mx.array([ids]))[0].astype(mx.float32)
    numpy.asarray(result).tofile(out)


def dequantized(folder, out):
    """Writes the weights of all quantized layers as MLX reads them; returns bits and group size of each."""
    found, weights = {}, {}
    for name, module in loaded(folder).named_modules():
        if isinstance(module, QUANTIZED):
            weights[name + ".weight"] = mx.dequantize(
                module.weight, module.scales, module.biases, module.group_size, module.bits, module.mode).astype(mx.float32)
            found[name] = [module.mode, module.bits, module.group_size]
    mx.save_safetensors(out, weights)
    return found


def convert(source, out, **options):
    """mlx_lm.convert -q."""
    mlx_lm.convert(str(source), str(out), quantize=True, **options)


def errors(folder, reference):
    """Relative squared errors of the quantized layers of a folder against the weights of another, which mlx-lm renames alike."""
    original = dict(loaded(reference).named_modules())
    result = {}
    for name, module in loaded(folder).named_modules():
        if isinstance(module, QUANTIZED):
            value = mx.dequantize(module.weight, module.scales, module.biases, module.group_size, module.bits, module.mode)
            weight = original[name].weight.astype(mx.float32)
            result[name] = (mx.square(value.astype(mx.float32) - weight).sum() / mx.square(weight).sum()).item()
    return result


mx.set_default_device(mx.cpu)
answer(logits=logits, dequantized=dequantized, convert=convert, errors=errors)
