#!/usr/bin/env python3
"""generate.py: writes malformed and borderline files into the current folder, and cases.json, which says what each of them is.

st/S00.safetensors and gg/G00.gguf are sound; every other file differs from them in one way. The answers that are expected of the
program are in Tests/Hostile/MalformedFileAnswers.swift. Only the standard library.
"""
import json
import math
import os
import struct

os.makedirs("st", exist_ok=True)
os.makedirs("gg", exist_ok=True)
ST = {}
GG = {}


# Files by id: bytes, description, and `accept`, `reject`, or `policy` and others where a reader may do either.
def st(id, b, note, exp="reject"):
    ST[id] = (b, note, exp)


# A safetensors file: length of the header, header, data. `N` overrides the length; a `raw` header is bytes already.
def hdr(h, data=b"", N=None, raw=False):
    j = h if raw else json.dumps(h, separators=(",", ":")).encode()
    return struct.pack("<Q", len(j) if N is None else N) + j + data


# The header's entry for a tensor.
def T(dt, sh, o):
    return {"dtype": dt, "shape": sh, "data_offsets": o}


one = {"a": T("F32", [2], [0, 8])}
d8 = b"\0" * 8
ok = hdr(one, d8)
st("S00", ok, "control: valid file", "accept")
st("S01", b"", "0-byte file")
st("S02", b"\x08\0\0\0\0\0\0", "7 bytes (short of the length word)")
st("S03", b"\0" * 8, "N=0, no header")
st("S04", struct.pack("<Q", 1) + b"{", "N=1, header is '{'")
st("S05", hdr(one, d8, N=len(ok)), "N larger than the file")
st("S06", struct.pack("<Q", 1 << 63) + b"{}", "N=2^63 (negative if signed)")
st("S07", struct.pack("<Q", (1 << 64) - 1) + b"{}", "N=2^64-1 (N+8 wraps)")
st("S08", struct.pack("<Q", 100_000_001) + b"{}", "N above the 100 MB header cap")
j = json.dumps(one).encode()
st("S09", struct.pack(">Q", len(j)) + j + d8, "N written big-endian")
st("S10", ok[:20], "truncated inside the header")
st("S11", ok[:-1], "last data byte missing")
st("S12", ok + b"\0", "one trailing byte after the data")
st("S13", hdr(one, d8, N=len(json.dumps(one, separators=(",", ":"))) - 1), "N one too small (cuts the closing brace)")
st("S14", hdr(one, d8, N=len(json.dumps(one, separators=(",", ":"))) + 1), "N one too large (swallows a data byte)")
st("S15", b"PK\x03\x04" + b"\0" * 40, "ZIP / PyTorch .bin renamed")
st(
    "S16",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n",
    "Git-LFS pointer instead of the file",
)
st("S17", b"<!DOCTYPE html><html><head><title>404</title></head></html>", "HTML error page saved as the file")
st("S18", b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + b"\0" * 32, "GGUF renamed .safetensors")
st("S19", hdr(b" " + json.dumps(one).encode(), d8, raw=True), "header starts with a space, not '{'")
st("S20", hdr(b"\xef\xbb\xbf" + json.dumps(one).encode(), d8, raw=True), "UTF-8 BOM before '{'")
st("S21", hdr(b"\x93NUMPY\x01\x00abcdef", d8, raw=True), "header is not JSON")
st("S22", hdr(b"[]", b"", raw=True), "header is a JSON array")
st("S23", hdr(b"null", b"", raw=True), "header is JSON null")
st("S24", hdr(json.dumps(one).encode() + b"}", d8, raw=True), "garbage after the JSON object")
st("S25", hdr(json.dumps(one).encode() + b"\0\0\0", d8, raw=True), "header padded with NULs, not spaces")
st("S26", hdr(b'{"a\xff":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', d8, raw=True), "invalid UTF-8 in a tensor name")
st("S27", hdr(b'{"a\\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', d8, raw=True), "lone surrogate escape in a name")
e = b'"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
st("S28", hdr(b"{" + e + b"," + e + b"}", d8, raw=True), "duplicate tensor name, same entry")
st(
    "S29",
    hdr(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', d8, raw=True
    ),
    "duplicate tensor name, different entries (last-wins readers accept)",
)
st("S30", hdr(b'{"__metadata__":{"k":"1"},"__metadata__":{"k":"2"},' + e + b"}", d8, raw=True), "duplicate __metadata__")
st(
    "S31",
    hdr(b'{"a":{"dtype":"I32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', d8, raw=True),
    "duplicate field inside a tensor entry",
)
st(
    "S32",
    hdr(b"{" + e + b',"\\u0061":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}', d8, raw=True),
    "duplicate name hidden by an escape (a, \\u0061)",
)
st("S33", hdr(b'{"__metadata__":{"k":' + b"[" * 20000 + b"]" * 20000 + b"}," + e + b"}", d8, raw=True), "20 000-deep JSON nesting")
st("S34", hdr(b"{" + e + b",}", d8, raw=True), "trailing comma")
st("S35", hdr(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}', d8, raw=True), "NaN literal in shape")
st("S36", hdr(b'{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}', d8, raw=True), "float in shape (2.0)")
st("S37", hdr(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8e0]}}', d8, raw=True), "exponent in offsets (8e0)")
st("S38", hdr({"a": T("F32", [-2], [0, 8])}, d8), "negative dimension")
st("S39", hdr({"a": T("F32", [2], [-8, 0])}, d8), "negative offset")
st("S40", hdr(b'{"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,8]}}', d8, raw=True), "dimension 2^64")
st("S41", hdr(b'{"a":{"dtype":"F32","shape":[02],"data_offsets":[0,8]}}', d8, raw=True), "leading zero (02)")
st("S42", hdr(b'{"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}', d8, raw=True), "string where a number belongs")
big = {f"t{i}": T("F32", [0], [0, 0]) for i in range(200000)}
st("S43", hdr(big), "200 000 zero-size tensors (header bloat; policy limit)", "limit")
st("S44", hdr({"": T("F32", [2], [0, 8])}, d8), "empty tensor name")
st("S45", hdr({"a\x1b[31m\n": T("F32", [2], [0, 8])}, d8), "control/escape characters in a name (terminal and log injection)")
st("S46", hdr({"../../etc/x": T("F32", [2], [0, 8])}, d8), "path traversal in a name (must never become a path)", "escape")
st("S47", hdr({"a" * 70000: T("F32", [2], [0, 8])}, d8), "70 000-byte name (policy limit)", "limit")
st("S48", hdr({"a": {"shape": [2], "data_offsets": [0, 8]}}, d8), "dtype missing")
st("S49", hdr({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, d8), "shape missing")
st("S50", hdr({"a": {"dtype": "F32", "shape": [2]}}, d8), "data_offsets missing")
st("S51", hdr({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], "strides": [1]}}, d8), "unknown extra field (strides)")
st("S52", hdr({"a": T("F17", [2], [0, 8])}, d8), "unknown dtype")
st("S53", hdr({"a": T("f32", [2], [0, 8])}, d8), "dtype in lower case")
st("S54", hdr({"__metadata__": {"k": 1}, "a": T("F32", [2], [0, 8])}, d8), "__metadata__ value is not a string")
st("S55", hdr({"__metadata__": ["x"], "a": T("F32", [2], [0, 8])}, d8), "__metadata__ is not an object")
st("S56", hdr({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8, 8]}}, d8), "data_offsets with three numbers")
st("S57", hdr({"a": {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}}, d8), "shape is not an array")
st("S58", hdr({"a": T("F32", [2], [8, 0])}, d8), "begin > end")
st("S59", hdr({"a": T("F32", [4], [0, 16])}, d8), "end beyond the file")
st("S60", hdr({"a": T("F32", [2], [0, 8]), "b": T("F32", [2], [4, 12])}, b"\0" * 12), "overlapping tensors")
st("S61", hdr({"a": T("F32", [2], [0, 8]), "b": T("F32", [2], [12, 20])}, b"\0" * 20), "hole between tensors (polyglot room)")
st("S62", hdr({"a": T("F32", [2], [4, 12])}, b"\0" * 12), "hole before the first tensor")
st("S63", hdr({"a": T("F32", [2], [0, 8])}, b"\0" * 12), "unreferenced tail")
st("S64", hdr({"a": T("F32", [3], [0, 8])}, d8), "shape x dtype larger than the span")
st("S65", hdr({"a": T("F32", [1], [0, 8])}, d8), "shape x dtype smaller than the span")
st("S66", hdr({"a": T("F32", [1 << 32, 1 << 32, 2], [0, 8])}, d8), "element count overflows 2^64")
st("S67", hdr({"a": T("F32", [(1 << 62) + 2], [0, 8])}, d8), "byte count overflows to the right value (2^62+2 elements)")
st("S68", hdr({"a": T("F32", [1 << 63, 4, 0], [0, 0])}, b""), "overflow hidden behind a zero dimension")
st("S69", hdr({"a": T("F4", [3], [0, 1])}, b"\0"), "sub-byte dtype, odd element count")
st("S70", hdr({"a": T("F32", [1] * 5000 + [2], [0, 8])}, d8), "rank 5001 (policy limit)", "limit")
st("S71", hdr({"a": T("F32", [2], [0, 8]), "z": T("F32", [0], [4, 4])}, d8), "zero-size tensor inside another's span")
st("S72", hdr({"a": T("F32", [2], [0, 8]), "z": T("F32", [0], [64, 64])}, d8), "zero-size tensor past the end")
st("S73", hdr({"__metadata__": {"k": "v"}}), "no tensors at all (valid container, nothing to convert)", "policy")
h = json.dumps(one, separators=(",", ":")).encode()
h += b" " * ((3 - (len(h) + 8)) % 8)
st("S74", hdr(h, d8, raw=True), "data not 8-byte aligned (legal: must copy, not trap)", "accept")
st("S75", hdr({"a": T("F32", [], [0, 4])}, b"\0" * 4), "rank-0 scalar (legal)", "accept")
st(
    "S76",
    hdr(one, struct.pack("<ff", math.nan, math.inf)),
    "NaN/Inf weights (legal container; policy: fail unless --allow-nonfinite)",
    "policy",
)
for k, (b, _, _) in ST.items():
    open(f"st/{k}.safetensors", "wb").write(b)


# ---------------- GGUF
def gg(id, b, note, exp="reject"):
    GG[id] = (b, note, exp)


U8, I8, U16, I16, U32, I32, F32, BOOL, STR, ARR, U64, I64, F64 = range(13)
q = lambda x: struct.pack("<Q", x & ((1 << 64) - 1))
u = lambda x: struct.pack("<I", x & 0xFFFFFFFF)
s = lambda x: q(len(x)) + x


# A key with its value.
def kv(k, t, v):
    return s(k) + u(t) + v


arch = kv(b"general.architecture", STR, s(b"llama"))


# The header's entry for a tensor. `nd` overrides the number of dimensions.
def ti(name, dims, typ, off, nd=None):
    return s(name) + u(len(dims) if nd is None else nd) + b"".join(q(d) for d in dims) + u(typ) + q(off)


# A GGUF file. `nt` and `nkv` override the counts in its header.
def G(kvs=(arch,), tis=(), data=b"", ver=3, magic=b"GGUF", nt=None, nkv=None, al=32, pad=True):
    b = magic + u(ver) + q(len(tis) if nt is None else nt) + q(len(kvs) if nkv is None else nkv) + b"".join(kvs) + b"".join(tis)
    if pad and tis:
        b += b"\0" * (-len(b) % al)
    return b + data


t1 = ti(b"t", [8], 0, 0)
D = b"\0" * 32
gg("G00", G(tis=(t1,), data=D), "control: valid v3 file", "accept")
gg("G01", b"", "0-byte file")
gg("G02", b"GGU", "3 bytes")
gg("G03", G(tis=(t1,), data=D, magic=b"GGUX"), "bad magic")
gg("G04", b"FUGG" + struct.pack(">IQQ", 3, 0, 0), "big-endian file, reversed magic")
gg("G05", b"ggjt"[::-1] + u(3) + b"\0" * 64, "legacy ggjt magic")
gg("G06", G(ver=0), "version 0")
gg("G07", G(ver=1), "version 1 (32-bit counts)")
gg("G08", G(ver=4), "future version 4")
gg("G09", G(ver=0x03000000), "byte-swapped version")
gg("G10", b"GGUF" + u(3) + b"\1\0\0", "truncated inside n_tensors")
gg("G11", G(nt=1 << 63), "n_tensors = 2^63 (negative)")
gg("G12", G(nt=(1 << 64) - 1), "n_tensors = 2^64-1")
gg("G13", G(nt=1 << 40), "n_tensors = 2^40 in a 100-byte file")
gg("G14", G(nkv=(1 << 64) - 1), "n_kv = 2^64-1")
gg("G15", G(nkv=5), "n_kv larger than the pairs present")
gg("G16", G(kvs=(arch, kv(b"x", U32, u(1))), nkv=1, tis=(t1,), data=D), "n_kv smaller than the pairs present")
gg("G17", G(kvs=(q((1 << 64) - 1) + b"a" + u(U32) + u(1),)), "key length 2^64-1 (length+1 wraps: CVE-2024-23496/21825 class)")
gg("G18", G(kvs=(q(1 << 20) + b"abc" + u(U32) + u(1),)), "key length beyond the file")
gg("G19", G(kvs=(kv(b"", U32, u(1)),)), "empty key")
gg("G20", G(kvs=(arch, kv(b"a" * 65536, U32, u(1)))), "key longer than the spec's 65535 bytes")
gg("G21", G(kvs=(arch, kv(b"bad\xff", U32, u(1)))), "key is not UTF-8")
gg("G22", G(kvs=(arch, kv(b"a\0b", U32, u(1)))), "NUL inside a key (C-string truncation)")
gg("G23", G(kvs=(arch, arch)), "duplicate key")
gg("G24", G(kvs=(arch, kv(b"x", 13, u(1)))), "value type 13")
gg("G25", G(kvs=(arch, kv(b"x", 0xFFFFFFFF, u(1)))), "value type -1")
gg(
    "G26",
    G(kvs=(arch, s(b"x") + u(STR) + q(1 << 63) + b"ab")),
    "string length 2^63 (int cast goes negative: CVE-2025-66959/66960 class)",
)
gg("G27", G(kvs=(arch, s(b"x") + u(STR) + q(1 << 30) + b"ab")), "string length 1 GiB in a tiny file")
gg("G28", G(kvs=(arch, kv(b"x", STR, s(b"\xc3\x28")))), "string value is not UTF-8")
gg("G29", G(kvs=(arch, kv(b"x", ARR, u(ARR) + q(1) + u(U8) + q(1) + b"\1"))), "array of arrays")
gg("G30", G(kvs=(arch, kv(b"x", ARR, (u(ARR) + q(1)) * 20000 + u(U8) + q(0)))), "arrays nested 20 000 deep (stack)")
gg("G31", G(kvs=(arch, kv(b"x", ARR, u(99) + q(1) + u(0)))), "array of an unknown type")
gg("G32", G(kvs=(arch, kv(b"x", ARR, u(U32) + q((1 << 64) - 1)))), "array count 2^64-1 (CVE-2024-21836 neighbours)")
gg("G33", G(kvs=(arch, kv(b"x", ARR, u(U32) + q((1 << 62) + 1) + u(7)))), "count x size wraps to 4")
gg("G34", G(kvs=(arch, kv(b"x", ARR, u(U8) + q(1 << 30) + b"\1"))), "array count beyond the file")
gg("G35", G(kvs=(arch, kv(b"x", ARR, u(STR) + q(2) + s(b"a") + q(1 << 62)))), "string length overflow inside an array")
gg("G36", G(kvs=(arch, kv(b"x", BOOL, b"\2"))), "bool byte = 2")
gg("G37", G(kvs=(arch, kv(b"x", ARR, u(BOOL) + q(2) + b"\1\7"))), "bool array byte = 7")
gg("G38", G(kvs=(arch, s(b"x") + u(U64) + b"\1\2")), "truncated scalar")
al = lambda v, t=U32: kv(b"general.alignment", t, v)
gg("G39", G(kvs=(arch, al(u(0))), tis=(t1,), data=D), "alignment 0 (divide by zero: CVE-2025-0317/2024-8063 class)")
gg("G40", G(kvs=(arch, al(u(3))), tis=(t1,), data=D), "alignment 3 (not a power of two)")
gg("G41", G(kvs=(arch, al(u(1 << 31))), tis=(t1,), data=D), "alignment 2^31")
gg("G42", G(kvs=(arch, al(q(32), U64)), tis=(t1,), data=D), "alignment has the wrong type (u64)")
gg(
    "G43",
    G(kvs=(arch, al(u(4))), tis=(ti(b"t", [8], 0, 0),), data=D, al=4),
    "alignment 4 (power of two but below 8; spec says multiple of 8)",
)
gg("G44", G(kvs=(kv(b"x", U32, u(1)),), tis=(t1,), data=D), "general.architecture missing")
gg("G45", G(kvs=(kv(b"general.architecture", U32, u(1)),), tis=(t1,), data=D), "general.architecture is not a string")
gg("G46", G(tis=(q((1 << 64) - 1) + b"t" + u(1) + q(8) + u(0) + q(0),)), "tensor name length 2^64-1")
gg("G47", G(tis=(ti(b"n" * 64, [8], 0, 0),), data=D), "tensor name of 64 bytes (limit is 63 + NUL)")
gg("G48", G(tis=(ti(b"", [8], 0, 0),), data=D), "empty tensor name")
gg("G49", G(tis=(t1, ti(b"t", [8], 0, 32)), data=D * 2), "duplicate tensor name")
gg("G50", G(tis=(ti(b"t\0u", [8], 0, 0),), data=D), "NUL inside a tensor name")
gg("G51", G(tis=(ti(b"t", [], 0, 0),), data=D), "n_dims = 0", "policy")
gg("G52", G(tis=(ti(b"t", [8, 1, 1, 1, 1], 0, 0),), data=D), "n_dims = 5 (CVE-2024-21802/23605 neighbours)")
gg("G53", G(tis=(ti(b"t", [8], 0, 0, nd=0xFFFFFFFF),), data=D), "n_dims = 2^32-1")
gg("G54", G(tis=(ti(b"t", [1 << 63], 0, 0),), data=D), "dimension 2^63 (negative)")
gg("G55", G(tis=(ti(b"t", [1 << 32, 1 << 32, 2], 0, 0),), data=D), "element count overflows (CVE-2026-33298 class)")
gg("G56", G(tis=(ti(b"t", [1 << 62, 1 << 62, 0], 0, 0),), data=D), "overflow hidden behind a zero dimension")
gg("G57", G(tis=(ti(b"t", [0], 0, 0),), data=D), "zero dimension", "policy")
gg("G58", G(tis=(ti(b"t", [32], 4, 0),), data=D * 4), "removed type 4 (Q4_2): block size 0, divide by zero")
gg("G59", G(tis=(ti(b"t", [8], 0xFFFFFFFF, 0),), data=D), "type -1")
gg("G60", G(tis=(ti(b"t", [8], 200, 0),), data=D), "type 200")
gg("G61", G(tis=(ti(b"t", [100], 12, 0),), data=b"\0" * 160), "Q4_K row not a multiple of 256")
gg("G62", G(tis=(ti(b"t", [1 << 61, 2], 0, 0),), data=D), "byte count overflows 2^64")
gg("G63", G(tis=(ti(b"t", [(1 << 63) - 1], 24, 0),), data=D), "byte count near 2^63, padding may wrap")
gg("G64", G(tis=(ti(b"t", [8], 0, 4),), data=D * 2), "offset not aligned")
gg("G65", G(tis=(t1, ti(b"v", [8], 0, 0)), data=D * 2), "two tensors at the same offset")
gg("G66", G(tis=(t1, ti(b"v", [8], 0, 64)), data=D * 3), "gap between tensors")
gg("G67", G(tis=(ti(b"t", [8], 0, (1 << 64) - 32),), data=D), "offset 2^64-32")
gg("G68", G(tis=(ti(b"t", [8], 0, 32), ti(b"v", [8], 0, 0)), data=D * 2), "offsets out of order", "policy")
gg("G69", G(tis=(t1,)), "data section missing (CVE-2026-7482 class)")
gg("G70", G(tis=(t1,), data=D[:-1]), "last data byte missing")
gg("G71", G(tis=(ti(b"t", [9], 0, 0),), data=b"\0" * 36), "padding after the last tensor missing", "policy")
gg("G72", G(tis=(t1,), data=D + b"x" * 100), "trailing bytes after the last tensor")
gg(
    "G73",
    G(
        tis=(
            ti(b"t", [1 << 62], 24, 0),
            ti(b"v", [1 << 62], 24, 1 << 62),
            ti(b"w", [1 << 62], 24, 1 << 63),
            ti(b"x", [1 << 62], 24, 3 << 62),
        ),
        data=D,
    ),
    "sizes sum past 2^64 (CVE-2025-53630 class)",
)
gg("G74", G(tis=(t1,), data=D)[:-40], "truncated inside tensor info")
gg("G75", G(tis=(ti(b"a\x1b[2J", [8], 0, 0),), data=D), "escape characters in a tensor name")
gg(
    "G76",
    G(kvs=(arch, kv(b"split.count", U16, b"\3\0"), kv(b"split.no", U16, b"\7\0")), tis=(t1,), data=D),
    "split.no >= split.count",
)
gg("G77", G(kvs=(arch, kv(b"llama.block_count", U32, u(0xFFFFFFFF))), tis=(t1,), data=D), "block_count 2^32-1")
gg("G78", G(kvs=(arch, kv(b"llama.attention.head_count", U32, u(0))), tis=(t1,), data=D), "head_count 0 (division)")
gg(
    "G79",
    G(
        kvs=(
            arch,
            kv(b"tokenizer.ggml.tokens", ARR, u(STR) + q(2) + s(b"a") + s(b"b")),
            kv(b"tokenizer.ggml.token_type", ARR, u(I32) + q(1) + u(1)),
        ),
        tis=(t1,),
        data=D,
    ),
    "token_type shorter than tokens",
)
gg(
    "G80",
    G(
        kvs=(arch, kv(b"tokenizer.ggml.tokens", ARR, u(STR) + q(1) + s(b"a")), kv(b"tokenizer.ggml.bos_token_id", U32, u(99))),
        tis=(t1,),
        data=D,
    ),
    "bos id outside the vocabulary",
)
gg(
    "G81",
    G(tis=(ti(b"t", [256], 12, 0),), data=struct.pack("<ee", math.nan, math.inf) + b"\0" * 156),
    "NaN/Inf super-block scale",
    "policy",
)
gg("G82", G(kvs=(arch, kv(b"general.file_type", U32, u(9999))), tis=(t1,), data=D), "general.file_type unknown", "policy")
for k, (b, _, _) in GG.items():
    open(f"gg/{k}.gguf", "wb").write(b)
json.dump({"st": {k: v[1:] for k, v in ST.items()}, "gg": {k: v[1:] for k, v in GG.items()}}, open("cases.json", "w"), indent=0)
print(len(ST), len(GG))
