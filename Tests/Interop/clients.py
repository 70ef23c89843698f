"""The programs: where they are, and how they are run."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
FIXTURES = ROOT / "Tests" / "Fixtures"
CLIENTS = pathlib.Path(os.environ["CLIENTS"])
QCONVERT = os.environ["QCONVERT"]
WORK = pathlib.Path(tempfile.mkdtemp(prefix="qconvert-interop-"))


def run(command, **extra_environment):
    """Runs a command and returns its standard output; raises with the last lines of its errors where it fails."""
    command = [str(part) for part in command]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=1800, stdin=subprocess.DEVNULL,
        env={**os.environ, **extra_environment})
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise RuntimeError(f"{pathlib.Path(command[0]).name} ended with {done.returncode}: {' | '.join(said)}")
    return done.stdout + done.stderr if extra_environment else done.stdout


def qconvert(*arguments):
    """Runs qconvert; returns its standard output."""
    return run([QCONVERT, *arguments])


def convert(source, target, *options):
    """Converts with qconvert and returns the target."""
    qconvert(source, target, *options)
    return target


def evaluate(model, *options):
    """The figures that `qconvert eval` prints."""
    return json.loads(qconvert("eval", model, *options, "--json"))


def llama(tool, *arguments):
    """Runs one of llama.cpp's tools; returns everything it printed."""
    return run([CLIENTS / "bin" / tool, *arguments], LD_PRELOAD=str(CLIENTS / "bin" / "flush_log.so"))


def llama_convert(folder, target, type_name):
    """Converts a Hugging Face folder with llama.cpp's own converter and returns the target."""
    script = CLIENTS / "llama" / "convert_hf_to_gguf.py"
    run([sys.executable, script, folder, "--outtype", type_name, "--outfile", target])
    return target


def llama_figures(model, text, windows, *options):
    """Runs llama-perplexity on windows of 512 tokens and returns its output. KV cache in F32, no flash attention.

    One thread: several wait for each other in loops, which takes many times as long where other programs run too."""
    return llama(
        "llama-perplexity", "-m", model, "-f", text, "-c", 512, "--chunks", windows, "-t", 1, "-ctk", "f32", "-ctv", "f32",
        "-fa", "off", *options)


def figure(output, label):
    """The number behind `label` and its standard error, as llama-perplexity prints them."""
    found = re.search(re.escape(label) + r"\s*[:=]\s*([\d.]+)(?:\s*(?:±|\+/-)\s*([\d.]+))?", re.sub(" +", " ", output))
    if not found:
        raise RuntimeError(f"llama-perplexity printed no '{label}'")
    return float(found.group(1)), float(found.group(2) or 0)


def shared(relative):
    """A file or folder of ../shared; skips the check where it is not here."""
    from registry import Skip

    path = SHARED / relative
    if not path.exists():
        raise Skip(f"needs ../shared/{relative}, which is not here")
    return path
