#!/usr/bin/env python3
"""make.py: writes the fixtures of this folder with PyTorch, and hostile ones by hand.

good/*.bin are what torch.save writes; each must read as the tensors of expected.safetensors that are named `FILE/TENSOR`.
bad/*.bin are damaged or malicious; answers.txt says which error each is owed.
"""
import collections
import io
import os
import pathlib
import pickle
import shutil
import struct
import warnings
import zipfile
import zlib

import torch
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
FOLDER = pathlib.Path(__file__).resolve().parent


def saved(value, **options):
    """The bytes that torch.save writes."""
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def good():
    """Name of a file: (what is saved, options, what must be read)."""
    torch.manual_seed(1)
    matrix = torch.randn(5, 7)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    types = {
        str(dtype).removeprefix("torch."): (torch.arange(6) - 2).to(dtype).reshape(2, 3)
        for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8)
    }
    types["uint8"] = torch.arange(6, dtype=torch.uint8)
    types["bool"] = torch.tensor([True, False, True])
    newer = {"float8_e4m3fn": torch.tensor([1.0, -2.5, 448.0]).to(torch.float8_e4m3fn), "uint16": torch.tensor([1, 65535], dtype=torch.uint16)}
    views = {
        "transposed": matrix.t(), "rows": matrix[1:4], "columns": matrix[:, 2:5], "every-other": matrix[::2, ::3], "scalar": matrix[2, 3],
        "one-row": matrix[3:4].t(), "empty": matrix[:0], "flat": matrix.flatten(), "cube": torch.arange(24.0).reshape(2, 3, 4),
    }
    line, tied = torch.arange(1100.0), torch.randn(4, 2)
    state = dict(model.state_dict())
    training = {
        "epoch": 3, "loss": 0.5, "lr": [0.1, 2, None], "big": 1 << 40, "negative": -5, "state_dict": model.state_dict(),
        "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "name": "x" * 300},
    }
    return {
        "model": (model.state_dict(), {}, state),
        "protocol-4": (model.state_dict(), {"pickle_protocol": 4}, state),
        "protocol-5": (model.state_dict(), {"pickle_protocol": 5}, state),
        "types": (types, {}, types),
        "newer-types": (newer, {}, newer),
        "views": (views, {}, views),
        "tied": ({"a": tied, "b": tied}, {}, {"a": tied, "b": tied}),
        "parameters": ({"p": torch.nn.Parameter(tied)}, {}, {"p": tied}),
        "training": (training, {}, state),
        "many": ({f"t{i}": line[i:i + 1] for i in range(1100)}, {}, {f"t{i}": line[i:i + 1] for i in (0, 999, 1000, 1099)}),
    }


def zipped(entries, method=zipfile.ZIP_STORED):
    """An archive by Python's own writer."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


SMALL = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4)}


def parts(data):
    """Name and content of the entries of an archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def with_pickle(pickled, entries=None):
    """An archive like that of SMALL with another pickle."""
    return zipped([(name, pickled if name.endswith("data.pkl") else data) for name, data in entries or parts(saved(SMALL))])


class Call:
    """Pickles as a call of anything."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def tensor_pickle(count=6, key="0", offset=0, size=(2, 3), stride=(3, 1), storage="FloatStorage", name="a"):
    """A dictionary of one tensor, in the instructions that torch.save writes, with any numbers in it."""
    def text(value):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()

    def number(value):
        if -(1 << 31) <= value < 1 << 31:
            return b"J" + struct.pack("<i", value)
        return b"\x8a\x08" + struct.pack("<q", value)

    def numbers(values):
        return b"(" + b"".join(map(number, values)) + b"t"

    reference = b"(" + text("storage") + b"ctorch\n" + storage.encode() + b"\n" + text(key) + text("cpu") + number(count) + b"tQ"
    arguments = b"(" + reference + number(offset) + numbers(size) + numbers(stride) + b"\x89ccollections\nOrderedDict\n)Rt"
    return b"\x80\x02}(" + text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"Ru."


def one_tensor(**changes):
    return with_pickle(tensor_pickle(**changes))


def patched(data, where, new):
    """`data` with some bytes replaced, `where` being an offset or the bytes to look for."""
    at = where if isinstance(where, int) else data.index(where)
    return data[:at] + new + data[at + len(new):]


def directory(data):
    """Offset of the central directory."""
    return struct.unpack("<I", data[-6:-2])[0]


def bad():
    """Name of a file: (bytes, the error that it is owed, or what it must read as)."""
    small = saved(SMALL)
    plain = zipped(parts(small))
    deflated = zipped(parts(small), zipfile.ZIP_DEFLATED)
    first = plain.index(b"PK\x01\x02")
    state = parts(small)
    pickled = dict(state)["archive/data.pkl"] if "archive/data.pkl" in dict(state) else next(d for n, d in state if n.endswith("data.pkl"))
    prefix = next(n for n, _ in state if n.endswith("data.pkl")).removesuffix("data.pkl")
    old = io.BytesIO()
    torch.save(SMALL, old, _use_new_zipfile_serialization=False)
    bomb = [(n, bytes(1 << 21) if n.endswith("data/0") else d) for n, d in state]
    many = b"\x80\x02" + b"N" * 10_001 + b"."
    nested = {"a": torch.ones(2), "inner": {"b": torch.ones(2)}}
    return {
        # The archive
        "accepted-rezipped": (plain, "accept"),
        "accepted-deflated": (deflated, "accept"),
        "empty": (b"", "pt.signature"),
        "cut": (small[:len(small) // 2], "zip.truncated"),
        "cut-end": (small[:-1], "zip.truncated"),
        "trailing": (small + b"x", "zip.truncated"),
        "legacy": (old.getvalue(), "pt.legacy"),
        "page": (b"<!DOCTYPE html><html></html>", "input.html-page"),
        "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "input.lfs-pointer"),
        "other-zip": (zipped([("word/document.xml", b"<x/>")]), "pt.no-pickle"),
        "two-pickles": (zipped([("a/data.pkl", pickled), ("b/data.pkl", pickled)]), "pt.no-pickle"),
        "torchscript": (zipped(state + [(prefix + "constants.pkl", b"x")]), "pt.torchscript"),
        "duplicate": (zipped(state + [(prefix + "data/0", b"x" * 24)]), "zip.duplicate"),
        "big-endian": (zipped([(n, b"big" if n.endswith("byteorder") else d) for n, d in state]), "pt.byte-order"),
        "crc": (patched(plain, plain.index(pickled) + len(pickled) - 20, b"\x00"), "zip.crc"),
        "deflated-crc": (patched(deflated, first_central(deflated, "data/0") + 16, b"\x00\x00\x00\x00"), "zip.header"),
        "local-name": (patched(plain, 30, b"X"), "zip.header"),
        "local-size": (patched(plain, 22, b"\x01"), "zip.header"),
        "method": (patched(patched(plain, 8, b"\x0c"), first + 10, b"\x0c"), "zip.method"),
        "encrypted": (patched(patched(plain, 6, b"\x01"), first + 8, b"\x01"), "zip.encrypted"),
        "two-sizes": (patched(patched(plain, 22, b"\x01\x00\x00\x00"), first + 24, b"\x01\x00\x00\x00"), "zip.size"),
        "overlap": (overlapping(), "zip.overlap"),
        "outside": (patched(plain, first + 42, b"\xf0\xff\xff\x7f"), "zip.entry"),
        "no-local-header": (patched(plain, first + 42, b"\x01\x00\x00\x00"), "zip.entry"),
        "directory-outside": (patched(plain, len(plain) - 6, b"\xff\xff\xff\x7f"), "zip.directory"),
        "directory-count": (patched(plain, len(plain) - 14, b"\xff\x00\xff\x00"), "zip.directory"),
        "wide-count": (wide_end(plain, count=1 << 40), "limit.entry-count"),
        "wide-offset": (wide_end(plain, offset=(1 << 64) - 1), "zip.directory"),
        "accepted-wide": (wide_end(plain), "accept"),
        "disks": (patched(plain, len(plain) - 18, b"\x01"), "zip.disks"),
        "bomb": (zipped(bomb, zipfile.ZIP_DEFLATED), "limit.inflated-size"),
        "deflate-garbage": (patched(deflated, local_data(deflated, "data.pkl"), b"\xff\xff\xff"), "zip.deflate"),
        # The pickle
        "system": (with_pickle(pickle.dumps({"a": Call(os.system, "true")}, 2)), "pt.pickle.global"),
        "eval": (with_pickle(pickle.dumps({"a": Call(eval, "1")}, 4)), "pt.pickle.global"),
        "global-escape": (with_pickle(b"\x80\x02ctorch\n\x1b[2Jx\n."), "pt.pickle.global"),
        "numpy": (with_pickle(b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n."), "pt.pickle.global"),
        "inst": (with_pickle(b"\x80\x02(ios\nsystem\n."), "pt.pickle.opcode"),
        "newobj": (with_pickle(b"\x80\x02ccollections\nOrderedDict\n)\x81."), "pt.pickle.opcode"),
        "obj": (with_pickle(b"\x80\x02(ccollections\nOrderedDict\no."), "pt.pickle.opcode"),
        "extension": (with_pickle(b"\x80\x02\x82\x01."), "pt.pickle.opcode"),
        "no-instruction": (with_pickle(b"\x80\x02\xff."), "pt.pickle.opcode"),
        "protocol-9": (with_pickle(b"\x80\x09}."), "pt.pickle.protocol"),
        "second-protocol": (with_pickle(b"\x80\x02}\x80\x02."), "pt.pickle.protocol"),
        "no-stop": (with_pickle(b"\x80\x02}"), "pt.pickle.truncated"),
        "long-string": (with_pickle(b"\x80\x02X\xff\xff\xff\xff."), "pt.pickle.truncated"),
        "cut-pickle": (with_pickle(pickled[:100]), "pt.pickle.truncated"),
        "underflow": (with_pickle(b"\x80\x02\x86."), "pt.pickle.stack"),
        "no-mark": (with_pickle(b"\x80\x02}u."), "pt.pickle.stack"),
        "below-mark": (with_pickle(b"\x80\x02}(Rt."), "pt.pickle.stack"),
        "leftovers": (with_pickle(b"\x80\x02}}."), "pt.pickle.end"),
        "behind-stop": (with_pickle(b"\x80\x02}.}"), "pt.pickle.end"),
        "memo-far": (with_pickle(b"\x80\x02}r\xff\xff\xff\xff."), "pt.pickle.memo"),
        "memo-missing": (with_pickle(b"\x80\x02h\x07."), "pt.pickle.memo"),
        "odd-items": (with_pickle(b"\x80\x02}(Nu."), "pt.pickle.value"),
        "call-a-string": (with_pickle(b"\x80\x02X\x01\x00\x00\x00a)R."), "pt.pickle.value"),
        "call-a-storage": (with_pickle(b"\x80\x02ctorch\nFloatStorage\n)R."), "pt.pickle.value"),
        "build-a-number": (with_pickle(b"\x80\x02K\x01}b."), "pt.pickle.value"),
        "long-integer": (with_pickle(b"\x80\x02\x8a\x09" + bytes(9) + b"."), "pt.pickle.value"),
        "deep": (with_pickle(many), "limit.pickle-depth"),
        "deep-tuple": (with_pickle(b"\x80\x02)" + b"\x85" * 20_000 + b"."), "limit.pickle-depth"),
        "marks": (with_pickle(b"\x80\x02" + b"(" * 10_001 + b"."), "limit.pickle-depth"),
        "itself": (with_pickle(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."), "pt.no-state-dict"),
        "a-list": (with_pickle(b"\x80\x02]."), "pt.no-state-dict"),
        "no-tensors": (with_pickle(pickle.dumps({"a": 1}, 2)), "pt.no-state-dict"),
        "lone-tensor": (saved(torch.ones(2)), "pt.no-state-dict"),
        "nested": (saved(nested), "pt.nested"),
        "number-as-name": (saved({1: torch.ones(2)}), "pt.name"),
        "control-in-name": (one_tensor(name="a\x1b"), "pt.name"),
        # Tensors
        "accepted-handmade": (one_tensor(), "accept"),
        "storage-missing": (one_tensor(key="9"), "zip.missing"),
        "storage-path": (one_tensor(key="../../../etc/passwd"), "zip.missing"),
        "storage-count": (one_tensor(count=7), "pt.storage-size"),
        "storage-huge": (one_tensor(count=(1 << 62) + 6), "pt.storage-size"),
        "storage-negative": (one_tensor(count=-1), "pt.pickle.value"),
        "storage-type": (one_tensor(storage="DoubleStorage"), "pt.storage-size"),
        "offset": (one_tensor(offset=1), "pt.view"),
        "offset-negative": (one_tensor(offset=-1), "pt.view"),
        "offset-huge": (one_tensor(offset=(1 << 62)), "pt.view"),
        "size-negative": (one_tensor(size=(-2, 3)), "pt.view"),
        "size-huge": (one_tensor(size=(1 << 40, 1 << 40)), "pt.view"),
        "size-huge-empty": (one_tensor(size=(1 << 40, 0)), "pt.view"),
        "size-overflows-to-six": (one_tensor(size=((1 << 63) - 1, 2), stride=(0, 0)), "pt.view"),
        "stride-negative": (one_tensor(stride=(-3, 1)), "pt.view"),
        "stride-huge": (one_tensor(stride=((1 << 62), 1)), "pt.view"),
        "stride-missing": (one_tensor(stride=(1,)), "pt.view"),
        "expanded": (one_tensor(size=(1 << 30, 1), stride=(0, 1)), "pt.strides"),
        "self-overlap": (one_tensor(size=(3, 3), stride=(1, 1)), "pt.strides"),
        "permuted-cube": (saved({"a": torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1)}), "pt.strides"),
        "rank": (one_tensor(size=(1,) * 9, stride=(1,) * 9), "limit.rank"),
    }


def first_central(data, suffix):
    """Offset of the central record of the entry whose name ends in `suffix`."""
    at = directory(data)
    while data[at:at + 4] == b"PK\x01\x02":
        name, extra, comment = struct.unpack("<HHH", data[at + 28:at + 34])
        if data[at + 46:at + 46 + name].decode().endswith(suffix):
            return at
        at += 46 + name + extra + comment
    raise KeyError(suffix)


def local_data(data, suffix):
    """Offset of the data of that entry."""
    at = struct.unpack("<I", data[first_central(data, suffix) + 42:][:4])[0]
    name, extra = struct.unpack("<HH", data[at + 26:at + 30])
    return at + 30 + name + extra


def overlapping():
    """Two storages whose entries begin at one place: the second record is a copy of the first under its name."""
    entries = parts(saved({"a": torch.zeros(4), "b": torch.zeros(4)}))
    data = zipped(entries)
    one, two = first_central(data, "data/0"), first_central(data, "data/1")
    start = struct.unpack("<I", data[one + 42:one + 46])[0]
    # The first entry is said to be long enough to hold the second, header and all.
    end = local_data(data, "data/1") + 16
    size = struct.pack("<II", end - local_data(data, "data/0"), end - local_data(data, "data/0"))
    crc = struct.pack("<I", zlib.crc32(data[local_data(data, "data/0"):end]))
    data = patched(patched(data, one + 20, size), one + 16, crc)
    data = patched(patched(data, start + 18, size), start + 14, crc)
    assert two
    return data


def wide_end(data, count=None, offset=None):
    """The archive with a 64-bit end record."""
    end = len(data) - 22
    entries, size, start = struct.unpack("<HII", data[end + 10:end + 20])
    count = entries if count is None else count
    offset = start if offset is None else offset
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1)
    return data[:end] + record + locator + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 0xFFFFFFFF, 0xFFFFFFFF, 0)


def main():
    for name in ("good", "bad"):
        shutil.rmtree(FOLDER / name, ignore_errors=True)
        (FOLDER / name).mkdir()
    expected = collections.OrderedDict()
    for name, (value, options, tensors) in good().items():
        (FOLDER / "good" / f"{name}.bin").write_bytes(saved(value, **options))
        for key, tensor in tensors.items():
            expected[f"{name}/{key}"] = tensor.detach().clone().contiguous()
    save_file(expected, FOLDER / "expected.safetensors")
    answers = []
    for name, (data, answer) in bad().items():
        (FOLDER / "bad" / f"{name}.bin").write_bytes(data)
        answers.append(f"{name} {answer}\n")
    (FOLDER / "answers.txt").write_text("".join(answers))


main()
