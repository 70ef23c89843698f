"""Reads GGUF files. The gguf package needs a minute for a vocabulary of 150000 tokens, hence this short reader."""
import dataclasses
import functools
import math
import mmap
import struct

import gguf
import numpy

from block_decoders import TYPES

# The package does not support the newest types.
KINDS = {kind.value: (kind.name.lower(), *gguf.GGML_QUANT_SIZES[kind]) for kind in gguf.GGMLQuantizationType}
KINDS |= {layout.number: (name, layout.weights, layout.size) for name, layout in TYPES.items()}
SCALARS = dict(enumerate("B b H h I i f ? _ _ Q q d".split()))
STRING, ARRAY = 8, 9


@dataclasses.dataclass
class Tensor:
    kind: str
    shape: tuple  # as stored: the row length first
    data: bytes


class Cursor:
    """Reads the header from front to back."""

    def __init__(self, data):
        self.data, self.position = data, 0

    def take(self, code, count=1):
        size = struct.calcsize("<" + code) * count
        values = struct.unpack_from(f"<{count}{code}", self.data, self.position)
        self.position += size
        return values

    def string(self):
        (length,) = self.take("Q")
        self.position += length
        return self.data[self.position - length: self.position]

    def value(self, kind):
        """(type, value); for an array, the type of its elements, marked as an array."""
        if kind == STRING:
            return "string", self.string()
        if kind == ARRAY:
            (element,), (count,) = self.take("I"), self.take("Q")
            if element == STRING:
                return "array of string", [self.string() for _ in range(count)]
            return f"array of {SCALARS[element]}", list(self.take(SCALARS[element], count))
        return SCALARS[kind], self.take(SCALARS[kind])[0]


@functools.lru_cache(maxsize=4)
def read(path, _changed):
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    cursor = Cursor(data)
    if cursor.take("I", 2) != (0x46554747, 3):
        raise ValueError(f"{path} is not a GGUF file of version 3")
    tensor_count, key_count = cursor.take("Q", 2)
    keys, tensors = {}, {}
    for _ in range(key_count):
        key = cursor.string().decode()
        keys[key] = cursor.value(*cursor.take("I"))
    for _ in range(tensor_count):
        name = cursor.string().decode()
        shape = cursor.take("Q", *cursor.take("I"))
        (kind,), (offset,) = cursor.take("I"), cursor.take("Q")
        tensors[name] = kind, shape, offset
    alignment = keys.get("general.alignment", (None, 32))[1]
    base = -(-cursor.position // alignment) * alignment
    for name, (number, shape, offset) in tensors.items():
        kind, block, size = KINDS[number]
        length = math.prod(shape) // block * size
        tensors[name] = Tensor(kind, shape, data[base + offset: base + offset + length])
        if len(tensors[name].data) != length:
            raise ValueError(f"{path} ends inside {name}")
    return keys, tensors


def metadata(path):
    """All key-value pairs: {key: (type, value)}; strings are bytes."""
    return read(path, path.stat().st_mtime_ns)[0]


def tensors(path):
    """All tensors in file order: {name: Tensor}."""
    return read(path, path.stat().st_mtime_ns)[1]


def without_ones(shape):
    """The shape without trailing dimensions of 1, which ggml does not keep: llama-quantize turns matrices with one row into vectors."""
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def are_close(a, b):
    """Whether values in F32 differ by rounding only."""
    return numpy.allclose(numpy.frombuffer(a, "<f4"), numpy.frombuffer(b, "<f4"), rtol=3e-7, atol=0)


def compare_tensors(own, reference, is_from_ggml=False):
    """Sentences about tensors that are missing, superfluous, or differ in type, shape or bytes.
    With `is_from_ggml`, the reference was written by a program that uses ggml, not by the converter."""
    own, reference = tensors(own), tensors(reference)
    found = [f"no tensor {name}" for name in reference if name not in own]
    found += [f"tensor {name} is not in the reference" for name in own if name not in reference]
    for name in own.keys() & reference.keys():
        a, b = own[name], reference[name]
        shape = without_ones(a.shape) if is_from_ggml else a.shape
        if (a.kind, shape) != (b.kind, b.shape):
            found.append(f"{name} is {a.kind} {a.shape} instead of {b.kind} {b.shape}")
        elif name.endswith(".ssm_a") and are_close(a.data, b.data):
            # Exponentials by two libraries, which round the last bit differently.
            continue
        elif a.data != b.data:
            differing = sum(x != y for x, y in zip(a.data, b.data))
            found.append(f"{name} ({a.kind}): {differing} of {len(a.data)} bytes differ")
    return sorted(found)
