"""From GGUF to GGUF: mixes choose llama-quantize's types, and llama.cpp computes the same with split, merged and edited files."""
import functools
import json
import re
import subprocess

from checks.mixes import MIXES, importance
from clients import CLIENTS, QCONVERT, WORK, convert, figure, llama, llama_figures, qconvert
from gguf_files import compare_tensors, metadata
from models import EVALUATION_TEXT, TINY_LLAMA, random_model
from registry import check, require


@functools.cache
def plain(folder):
    return convert(folder, WORK / f"editing.{folder.name}.gguf", "--scheme", "f16")


@functools.cache
def quantized():
    return convert(TINY_LLAMA, WORK / "editing.q8_0.gguf", "--scheme", "q8_0")


def own_types(source, mix, *options):
    plan = json.loads(qconvert("plan", source, WORK / "none.gguf", "--scheme", mix, "--allow-requantize", "--json", *options))
    return {tensor["name"]: tensor["scheme"] for tensor in plan["tensors"]}


def reference_types(source, mix, *options):
    """The types that llama-quantize would write; nothing if it refuses."""
    try:
        output = llama("llama-quantize", "--dry-run", "--allow-requantize", *options, source, mix.upper())
    except RuntimeError:
        return {}
    found = {}
    for name, stored, rest in re.findall(r"^\[ *\d+/ *\d+\] (\S+) +- \[[^]]*\], type = +(\w+), (.*)$", output, re.M):
        changed = re.search(r"-> .*\((\w+)\)", rest)
        found[name] = (changed.group(1) if changed else stored).lower()
    return found


def compare_types(source, mix, own=(), reference=()):
    expected = reference_types(source, mix, *reference)
    require(expected, "llama-quantize lists no tensors")
    found = own_types(source, mix, *own)
    wrong = [f"{name} {found.get(name)} instead of {kind}" for name, kind in expected.items() if found.get(name) != kind]
    require(not wrong, f"{len(wrong)} of {len(expected)} tensors differ: " + "; ".join(wrong[:4]))
    return f"{len(expected)} tensors"


OPTIONS = {
    "pure": ["--pure"], "output type": ["--output-tensor-type", "q8_0"], "embedding type": ["--token-embedding-type", "q5_0"],
    "tensor types": ["--tensor-type", r"BLK\.[0-3]\.ATTN_V=q8_0", "--tensor-type", "attn_v=q5_0", "--tensor-type", "ffn_(up|gate)=Q4_1"],
    "left output": ["--leave-output-tensor"]}


@check("the options of llama-quantize choose its types: {}", OPTIONS)
def options(name):
    return compare_types(plain(TINY_LLAMA), "q4_k_m", OPTIONS[name], OPTIONS[name])


def is_refused(source, mix, *options):
    """Whether qconvert requires importance."""
    done = subprocess.run(
        [QCONVERT, "plan", source, WORK / "none.gguf", "--scheme", mix, "--json", *options], capture_output=True, text=True)
    if done.returncode == 0:
        return False
    error = json.loads(done.stdout)["error"]
    require(error["id"] == "importance.required", f"{mix} {' '.join(options)}: {error['message']}")
    return True


def is_refused_there(source, mix, *options):
    return "actually completing this quantization will require an imatrix" in llama(
        "llama-quantize", "--dry-run", *options, source, mix.upper())


@check("without importance, llama-quantize and qconvert refuse the same: {}", ["mixes", "tensors of a type"])
def refusals(form):
    source = plain(TINY_LLAMA)
    if form == "mixes":
        asked = [(mix, options) for mix in MIXES for options in ([], ["--pure"])]
    else:
        types = ["iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s", "q2_k", "tq1_0"]
        asked = [
            (mix, options) for name in types for mix in ("q4_0", "q2_k_s") for options in (
                ["--tensor-type", f"attn_q={name}"], ["--output-tensor-type", name], ["--token-embedding-type", name])]
    refused, wrong = 0, []
    for mix, options in asked:
        expected = is_refused_there(source, mix, *options)
        if options and options[-1] in ("iq1_s", "iq2_xxs", "iq2_xs"):
            # The dry run accepts these, and the run aborts.
            try:
                llama("llama-quantize", *options, source, WORK / "refused.gguf", mix.upper())
            except RuntimeError:
                expected = True
        refused += expected
        if is_refused(source, mix, *options) != expected:
            wrong.append(f"{mix} {' '.join(options)} is {'refused' if expected else 'accepted'} there")
    require(refused and not wrong, f"{len(wrong)} of {len(asked)} answers differ: " + "; ".join(wrong[:4]))
    return f"{refused} of {len(asked)} refused"


@check("short rows of {}: pure and mixed types are llama-quantize's", ["llama-odd-shape", "mixtral", "gpt2", "bloom"])
def short_rows(name):
    source = plain(random_model(name))
    for mix in ["q4_k_m", "q5_k_s", "q6_k", "q4_0"]:
        compare_types(source, mix)
        compare_types(source, mix, ["--pure"], ["--pure"])


@check("{} of llama-quantize: qconvert writes the same bytes", ["--prune-layers", "--include-weights", "--exclude-weights"])
def bytes_of_options(option):
    source, reference = plain(TINY_LLAMA), WORK / "options.reference.gguf"
    given = {"--prune-layers": ["2,5"], "--include-weights": ["attn", option, "blk.3."], "--exclude-weights": ["ffn", option, "blk.3."]}[option]
    compared = 0
    for mix in ["q4_k_m", "q4_0"]:
        llama("llama-quantize", "--imatrix", importance("tiny-llama"), option, *given, source, reference, mix.upper(), 2)
        own = convert(source, WORK / "options.own.gguf", "--imatrix", importance("tiny-llama"), option, *given, "--scheme", mix, "--force")
        wrong = compare_tensors(own, reference)
        require(not wrong, f"{mix}: {wrong}")
        require(metadata(own)["llama.block_count"] == metadata(reference)["llama.block_count"], "a different number of blocks")
        compared += 1
    return f"{compared} mixes"


def perplexity(path):
    return figure(llama_figures(path, EVALUATION_TEXT, 4), "Final estimate: PPL")


@check("llama.cpp computes the same with {}", ["split", "merged", "edited", "kept split"])
def computes(form):
    source = quantized()
    if form in ("split", "merged", "kept split"):
        convert(source, WORK / "parts.gguf", "--split-max-size", "3M", "--force")
        parts = sorted(WORK.glob("parts-*.gguf"))
        target = parts[0]
        if form == "merged":
            target = convert(parts[-1], WORK / "merged.gguf", "--force")
            require(not compare_tensors(target, source), "tensors differ")
        elif form == "kept split":
            convert(parts[0], WORK / "again.gguf", "--keep-split", "--force")
            target = sorted(WORK.glob("again-*.gguf"))[0]
            for again, part in zip(sorted(WORK.glob("again-*.gguf")), parts):
                require(again.read_bytes() == part.read_bytes(), f"{again.name} differs")
    else:
        target = convert(
            source, WORK / "edited.gguf", "--set-meta", "general.name=str:another", "--drop-meta", "general.size_label", "--force")
        changed = {key for key in metadata(source).keys() | metadata(target).keys() if metadata(source).get(key) != metadata(target).get(key)}
        require(changed == {"general.name", "general.size_label"}, f"these keys differ: {sorted(changed)}")
    own, reference = perplexity(target), perplexity(source)
    require(own == reference, f"{own[0]} instead of {reference[0]}")
    return f"PPL {own[0]}"


@functools.cache
def architectures():
    """Small files of every architecture, made by one of llama.cpp's tests."""
    folder = WORK / "architectures"
    folder.mkdir()
    program = WORK / "test-llama-archs"
    sources = CLIENTS / "llama"
    include = [f"-I{sources / part}" for part in ("include", "ggml/include", "common", "src", "vendor")]
    libraries = [f"-L{CLIENTS / 'bin'}", "-lllama", "-lllama-common", "-lggml", "-lggml-base", f"-Wl,-rpath,{CLIENTS / 'bin'}", "-lpthread"]
    subprocess.run(
        ["g++", "-O1", "-std=c++17", *include, sources / "tests/test-llama-archs.cpp", "-o", program, *libraries], check=True)
    subprocess.run([program, "--seed", "7", "-o", folder], check=True, capture_output=True)
    return sorted(folder.glob("*.gguf"))


@check("every architecture: {} has llama-quantize's types", [], slow_cases=["q4_k_m", "q5_k_s", "q8_0", "q3_k_m", "q2_k", "iq4_xs"])
def every_architecture(mix):
    wrong = []
    compared = 0
    for path in architectures():
        if reference_types(path, mix):
            try:
                compare_types(path, mix)
                compared += 1
            except (AssertionError, RuntimeError) as error:
                wrong.append(f"{path.stem}: {error}")
    require(compared and not wrong, f"{len(wrong)} files differ: " + "; ".join(wrong[:4]))
    return f"{compared} files"


@check("every architecture: q4_k_m has llama-quantize's bytes", slow=True)
def every_byte():
    wrong = []
    for path in architectures():
        own, reference = WORK / "architecture.gguf", WORK / "reference.architecture.gguf"
        try:
            llama("llama-quantize", path, reference, "Q4_K_M")
            found = compare_tensors(convert(path, own, "--scheme", "q4_k_m", "--force"), reference)
        except RuntimeError as error:
            found = [str(error)]
        wrong += [f"{path.stem}: {sentence}" for sentence in found[:1]]
    require(not wrong, f"{len(wrong)} of {len(architectures())} files differ: " + "; ".join(wrong[:4]))
    return f"{len(architectures())} files"
