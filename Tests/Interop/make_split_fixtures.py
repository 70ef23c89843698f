#!/usr/bin/env python3
"""make_split_fixtures.py OUT

Writes Tests/Fixtures/engine/split.safetensors: activations of some tokens, and the values with which a bitsandbytes layer computes for
them at two thresholds: columns with outliers as half floats, the others after INT8. Run with the versions pinned in requirements.txt."""
import sys

import torch
from bitsandbytes.functional import int8_vectorwise_quant
from safetensors.torch import save_file

generator = torch.Generator().manual_seed(17)
values = torch.randn((9, 96), generator=generator)
values[:, 5] *= 20.0
values[3, 40] = 6.0  # at the threshold
values[4, 41] = -5.99
values[6] = 0.0
result = {"values": values}
for threshold in [6.0, 2.5]:
    half = values.half()
    codes, largest, columns = int8_vectorwise_quant(half.clone(), threshold=threshold)
    rounded = codes.float() * (largest[:, None].float() / 127)
    rounded[:, columns.long()] = half[:, columns.long()].float()
    result[f"{threshold}"] = rounded
    result[f"{threshold}.columns"] = columns.to(torch.int32)
save_file({name: tensor.contiguous() for name, tensor in result.items()}, sys.argv[1] + "/split.safetensors")
