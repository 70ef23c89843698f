#!/usr/bin/env python3
"""mutate.py QCONVERT SECONDS [SEED]: damages small models at random and gives them to every command.

For any input, the program must end by itself, quickly, with one of its documented exit codes; a signal, an internal error, a
time-out or a leftover file is a bug. Every input that triggers one is kept in a folder whose path is printed.
"""
import os
import pathlib
import random
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
FIXTURE = ROOT / "Fixtures" / "models" / "tiny-llama"
SENTENCEPIECE = ROOT / "Fixtures" / "tokenizers" / "sentencepiece" / "tokenizer.model"
SAVED = ROOT / "Fixtures" / "pytorch"
SECONDS, MEMORY = 20, 4 << 30
# The address sanitizer reserves terabytes of address space, and takes several times as long.
IS_SANITIZED = "ASAN_OPTIONS" in os.environ
if IS_SANITIZED:
    SECONDS, MEMORY = 120, resource.RLIM_INFINITY
EXPECTED = {0, 11, 64, 65, 66, 69, 73, 74}
NUMBERS = [
    "0", "1", "-1", "2", "3", "7", "64", "65", "255", "4095", "4097", "65536", "2147483647", "2147483648", "4294967295", "4294967296",
    "4611686018427387904", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "1e308", "1e-308",
    "1e999", "-0.0", "0.5", "1e18", "null", "true", "\"x\"", "[]", "{}", "[1]", "\"\"",
]
WORDS = [0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 1 << 40, (1 << 62), (1 << 63) - 1,
         1 << 63, (1 << 64) - 1, (1 << 64) - 32]


def mutate_bytes(data, limit, rng):
    """Flips, overwrites, inserts, removes or cuts off some bytes, most of them before `limit`."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        if not data:
            break
        at = rng.randrange(min(len(data), limit if rng.random() < 0.95 else len(data)))
        kind = rng.randrange(7)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.randrange(256)
        elif kind == 2:
            width = rng.choice([1, 2, 4, 8])
            data[at:at + width] = (rng.choice(WORDS) % (1 << 8 * width)).to_bytes(width, "little")[:len(data) - at]
        elif kind == 3:
            data[at:at] = rng.randbytes(rng.choice([1, 4, 8]))
        elif kind == 4:
            del data[at:at + rng.choice([1, 4, 8, 32])]
        elif kind == 5:
            other = rng.randrange(min(len(data), limit))
            span = rng.choice([1, 4, 8, 32, 200])
            data[at:at + span] = data[other:other + span]
        elif rng.random() < 0.2:
            del data[at:]
    return bytes(data)


def mutate_text(data, rng):
    """Replaces numbers, strings or punctuation in a JSON text, or some of its bytes."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        pattern = rng.choice([rb"-?\d+(?:\.\d+)?(?:e-?\d+)?", rb"-?\d+(?:\.\d+)?(?:e-?\d+)?", rb'"[^"]{0,60}"', rb"true|false|null", rb"[\[\]{},:]"])
        places = [m.span() for m in re.finditer(pattern, data[:200_000])]
        if not places or rng.random() < 0.1:
            data = mutate_bytes(data, len(data), rng)
            continue
        start, end = rng.choice(places)
        if rng.random() < 0.3:
            other = rng.choice(places)
            new = data[other[0]:other[1]]
        else:
            new = rng.choice(NUMBERS).encode()
        data = data[:start] + new + data[end:]
    return data


def mutate_safetensors(data, rng):
    """Changes the header's text and corrects its length, so that the file passes the first check."""
    length = struct.unpack("<Q", data[:8])[0]
    if rng.random() < 0.15:
        return mutate_bytes(data, length + 8, rng)
    if rng.random() < 0.3:
        # Weights of every magnitude: NaN, infinity, overflow of the 16-bit types.
        body = bytearray(data)
        for _ in range(rng.choice([1, 10, 1000])):
            at = rng.randrange(8 + length, len(body) - 2)
            body[at:at + 2] = rng.choice([b"\xff\x7f", b"\x80\x7f", b"\x00\x7c", b"\x80\xff", b"\x01\x00", b"\xff\xfb"])
        return bytes(body)
    header = mutate_text(data[8:8 + length], rng)
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data[8 + length:]


def gguf_header(data):
    """The number of bytes before the first tensor's data; an estimate is enough."""
    found = data.rfind(b"output_norm.weight")
    return found + 64 if found > 0 else min(len(data), 200_000)


class Fuzzer:
    def __init__(self, program, rng, work):
        self.program, self.rng, self.work = program, rng, work
        self.out = work / "out"
        self.found = 0
        self.runs = 0
        self.codes = {}
        self.kept = pathlib.Path(tempfile.gettempdir()) / "qconvert-fuzz-findings"
        (work / "text.txt").write_text("Once upon a time there was a little model. " * 200)
        self.seeds = work / "seeds"
        self.seeds.mkdir()
        sharded = self.seeds / "sharded"
        shutil.copytree(FIXTURE, sharded)
        small = self.seeds / "small"
        subprocess.run([sys.executable, ROOT / "EndToEnd" / "make_inputs.py", work / "in"], check=True)
        shutil.copytree(work / "in" / "good", small)
        shutil.copy(SENTENCEPIECE, small / "tokenizer.model")
        for name, arguments in {
            "q8.gguf": ["--scheme", "q8_0"], "q4.gguf": ["--scheme", "q4_0"], "f16.gguf": ["--scheme", "f16"],
            "nf4": ["--scheme", "nf4-g32"], "llm-int8": ["--scheme", "llm-int8"], "packed": ["--scheme", "int4-g32"],
            "packed-asym": ["--scheme", "int4-g32-asym"], "int8": ["--scheme", "int8-channel"],
            "gptq": ["--scheme", "int4-g32", "--packing", "gptq"], "gptq-3": ["--scheme", "int3-g32-asym", "--packing", "gptq_v2"],
            "awq": ["--scheme", "int4-g32-asym", "--packing", "awq"], "fp8": ["--scheme", "fp8-channel"], "nvfp4": ["--scheme", "nvfp4"],
            "mxfp4": ["--scheme", "mxfp4"], "fp8-block": ["--scheme", "fp8-block32", "--packing", "fp8-block"],
            "modelopt": ["--scheme", "nvfp4", "--packing", "modelopt-nvfp4"],
        }.items():
            subprocess.run([program, small, self.seeds / name, *arguments, "-q"], check=True)
        # Folders that other tools wrote, some of them in packings that are only read.
        for name in ("hqq-w4", "torchao-int8", "gptoss-mxfp4", "gptqmodel-gptq4-desc", "bnb-nf4-double", "modelopt-fp8", "ct-fp8-kv"):
            golden = ROOT / "Fixtures" / "golden" / name
            shutil.copytree(golden, self.seeds / name, ignore=shutil.ignore_patterns("*-check.json"))
        for name in ("model", "views", "protocol-4"):
            shutil.copy(SAVED / "good" / f"{name}.bin", self.seeds)
        shutil.copy(SAVED / "bad" / "accepted-deflated.bin", self.seeds)
        subprocess.run([program, sharded, self.seeds / "k.gguf", "--scheme", "q4_k_m", "-q"], check=True)

    def damaged(self):
        """A damaged copy of one seed."""
        rng = self.rng
        seed = rng.choice(sorted(self.seeds.iterdir()))
        target = self.work / ("model" + seed.suffix)
        for old in (self.work / "model.gguf", self.work / "model.bin", self.work / "model"):
            shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
        if seed.is_file():
            data = seed.read_bytes()
            target.write_bytes(mutate_bytes(data, gguf_header(data), rng))
            return target
        shutil.copytree(seed, target)
        if (target / "tokenizer.model").exists() and rng.random() < 0.5:
            (target / "tokenizer.json").unlink(missing_ok=True)
        for _ in range(rng.choice([1, 1, 2])):
            file = rng.choice(sorted(target.iterdir()))
            data = file.read_bytes()
            if file.suffix == ".safetensors":
                file.write_bytes(mutate_safetensors(data, rng))
            elif file.suffix == ".model":
                file.write_bytes(mutate_bytes(data, len(data), rng))
            else:
                file.write_bytes(mutate_text(data, rng))
        return target

    def commands(self, model):
        rng, out = self.rng, self.out
        text = self.work / "text.txt"
        calibrated = ["-p", "awq:grid=4", "--calibration", text, "--samples", "2", "--context", "16"]
        extra = rng.choice([[], [], ["--allow-nonfinite"], ["--allow-requantize"]])
        pure = rng.choice([[], ["--pure"]])
        gguf = rng.choice(["q4_k_m", "q8_0", "q4_0", "q5_1", "q6_k", "f16", "f32", "bf16"])
        folder = rng.choice(["int4-g32", "int4-g32-asym", "int8-channel", "w8a16", "nf4-g32", "llm-int8", "bf16", "f16"])
        yield ["inspect", model]
        yield rng.choice([
            ["plan", model, out / "o.gguf", "--scheme", gguf, "--json", *extra, *pure],
            [model, out / "o.gguf", "--scheme", gguf, *extra, *pure],
            [model, out / "o", "--scheme", folder, *extra],
            [model, out / "o.safetensors", "--scheme", folder, *extra],
            [model, out / "o.gguf", "--scheme", rng.choice(["q4_0", "q8_0", "q4_k_m"]), *calibrated, *extra],
            [model, out / "o", "--scheme", folder, *calibrated, *extra],
            ["eval", model, "--text", text, "--context", "16", "--windows", "2"],
            ["generate", model, "--prompt", rng.choice(["Once", "", "\u00e9\u4e2d", " "]), "--tokens", "3"],
            ["tokenize", model, "--text", text],
            ["validate", model], ["validate", model],
            ["compare", model, self.seeds / "small"],
            [model, out / "o", *rng.choice([[], ["--packing", "gptq"], ["--packing", "awq"], ["--packing", "pack-quantized"]]), *extra],
            [model, out / "o.gguf", "--scheme", "keep", *extra],
        ])

    def attempt(self, arguments):
        def limit():
            os.nice(10)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        try:
            done = subprocess.run(
                [self.program, *map(str, arguments), "-j", "2"], stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, preexec_fn=limit)
        except subprocess.TimeoutExpired:
            return "time-out", ""
        return done.returncode, done.stderr.decode(errors="replace")[-300:]

    def step(self):
        model = self.damaged()
        for arguments in self.commands(model):
            shutil.rmtree(self.out, ignore_errors=True)
            self.out.mkdir()
            code, said = self.attempt(arguments)
            self.runs += 1
            self.codes[code] = self.codes.get(code, 0) + 1
            left = sorted(p.name for p in self.out.iterdir())
            wrong = code not in EXPECTED or (code != 0 and left) or any(name.startswith(".") for name in left)
            if not wrong:
                continue
            self.found += 1
            place = self.kept / f"{self.found:03d}"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            shutil.copytree(model, place / model.name) if model.is_dir() else shutil.copy(model, place)
            line = " ".join(map(str, arguments))
            (place / "command.txt").write_text(f"{line}\n{code}\n{said}\n{left}\n")
            print(f"{place}: ended with {code}: {line}\n  {said.strip()[-200:]}", flush=True)


def main():
    program, seconds = pathlib.Path(sys.argv[1]).resolve(), float(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="qconvert-fuzz-") as work:
        fuzzer = Fuzzer(program, random.Random(seed), pathlib.Path(work))
        while time.monotonic() < end:
            fuzzer.step()
    print(f"{fuzzer.runs} runs, exit codes {fuzzer.codes}, {fuzzer.found} findings")
    sys.exit(1 if fuzzer.found else 0)


main()
