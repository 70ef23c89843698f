#!/usr/bin/env python3
"""make.py: writes cases.safetensors, matrices that MLX quantized and the weights that it reads from them.

For each case NAME: NAME.input F32 (what was quantized), NAME.weight, NAME.scales, NAME.biases as MLX stores them, and NAME.float, what
`mx.dequantize` makes of them in its own type. Names are MODE-BITS-GROUP-TYPE. `switch_mlp.up_proj.…` are two matrices in a stack.
Needs mlx 0.32.4 with its CPU build: Tests/environment.sh mlx prints a Python that has it."""
import pathlib

import mlx.core as mx
import numpy as np

ROWS, COLUMNS = 2, 128
TYPES = {"f32": mx.float32, "f16": mx.float16, "bf16": mx.bfloat16}


def weights(generator, shape):
    """Groups that are symmetric, skewed, all positive, all negative, equal, and all zero."""
    x = generator.standard_normal(shape).astype(np.float32) * np.float32(0.05)
    flat = x.reshape(-1, COLUMNS)
    flat[:, 32:64] = np.abs(flat[:, 32:64]) + np.float32(0.01)
    flat[0, 96:] = 0
    flat[1, :32] = np.float32(-0.75)
    flat[1, 64:] = -flat[1, 64:] - np.float32(0.2)
    return x


def main():
    generator = np.random.default_rng(20)
    tensors = {}

    def add(name, x, mode, bits, length, kind):
        source = mx.array(x).astype(TYPES[kind])
        parts = mx.quantize(source, group_size=length, bits=bits, mode=mode)
        # The modes without biases compute in BF16 unless they are told otherwise.
        value = mx.dequantize(*parts, group_size=length, bits=bits, mode=mode)
        tensors[name + ".input"] = source.astype(mx.float32)
        tensors.update({f"{name}.{part}": array for part, array in zip(("weight", "scales", "biases"), parts)})
        tensors[name + ".float"] = value

    for bits in (2, 3, 4, 5, 6, 8):
        for length, kind in ((32, "bf16"), (64, "f16"), (128, "f32"), (64, "bf16")):
            add(f"affine-{bits}-{length}-{kind}", weights(generator, (ROWS, COLUMNS)), "affine", bits, length, kind)
    for mode, bits, length in (("mxfp4", 4, 32), ("mxfp8", 8, 32), ("nvfp4", 4, 16)):
        add(f"{mode}-{bits}-{length}-bf16", weights(generator, (ROWS, COLUMNS)), mode, bits, length, "bf16")
    add("model.layers.0.mlp.switch_mlp.up_proj", weights(generator, (2, ROWS, COLUMNS)), "affine", 4, 64, "bf16")
    mx.save_safetensors(str(pathlib.Path(__file__).parent / "cases.safetensors"), tensors, metadata={"format": "mlx"})


main()
