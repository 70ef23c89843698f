"""The clients: where they are, and how they are run."""
import atexit
import json
import os
import pathlib
import re
import select
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
    """Runs a command and returns its standard output; if it fails, raises with the last lines of its standard error."""
    command = [str(part) for part in command]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=1800, stdin=subprocess.DEVNULL,
        env={**os.environ, **extra_environment})
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise RuntimeError(f"{pathlib.Path(command[0]).name} ended with {done.returncode}: {' | '.join(said)}")
    return done.stdout + done.stderr if extra_environment else done.stdout


class Peer:
    """A Python program that is started on its first call and stays loaded. Without `python`, it is then installed in an environment
    of its own (Tests/environment.sh)."""

    def __init__(self, name, python=None, **environment):
        self.name, self.python, self.environment, self.process = name, python, environment, None

    def start(self):
        python = self.python or run([ROOT / "Tests" / "environment.sh", self.name]).strip()
        self.log = WORK / f"{self.name}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [python, ROOT / "Tests" / "Interop" / "peers" / f"{self.name}_peer.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, text=True, env={**os.environ, **self.environment})
        atexit.register(self.process.kill)

    def ask(self, command, **arguments):
        """The answer of a function of peers/NAME_peer.py; raises what it raised."""
        if self.process is None:
            self.start()
        job = json.dumps({"command": command, **arguments}, default=str)
        print(job, file=self.process.stdin, flush=True)
        ready, _, _ = select.select([self.process.stdout], [], [], 1800)
        reply = self.process.stdout.readline() if ready else ""
        if not reply:
            self.process.kill()
            self.process = None
            said = self.log.read_text(errors="replace").splitlines()[-3:]
            raise RuntimeError(f"{self.name} " + ("ended: " if ready else "did not answer: ") + " | ".join(said))
        reply = json.loads(reply)
        if "error" in reply:
            raise RuntimeError(f"{self.name}: {reply['error']}")
        return reply["answer"]


LLAMA_CONVERTER = Peer("llama_converter", sys.executable)
GPTQMODEL = Peer("gptqmodel", GPTQMODEL_CPU_WORKERS="2")
LLMCOMPRESSOR = Peer("llmcompressor")
MODELOPT = Peer("modelopt")
TRANSFORMERS5 = Peer("transformers5", OMP_NUM_THREADS="1")
MLX = Peer("mlx")
# One thread: several wait for each other in busy loops. One process: the engine's workers are not restarted for each folder.
VLLM = Peer(
    "vllm", VLLM_CPU_KVCACHE_SPACE="1", VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_NO_USAGE_STATS="1", VLLM_LOGGING_LEVEL="WARNING",
    OMP_NUM_THREADS="1")


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
    """Runs one of llama.cpp's tools; returns everything it printed. No backtraces: a tool that aborts in two threads could hang in them."""
    return run([CLIENTS / "bin" / tool, *arguments], LD_PRELOAD=str(CLIENTS / "bin" / "flush_log.so"), GGML_NO_BACKTRACE="1")


def llama_convert(folder, target, type_name, *options):
    """Converts a Hugging Face folder with llama.cpp's own converter and returns the target."""
    LLAMA_CONVERTER.ask("convert", arguments=[str(folder), "--outtype", type_name, "--outfile", str(target), *options])
    return target


def llama_figures(model, text, windows, *options):
    """Runs llama-perplexity on windows of 512 tokens and returns its output. KV cache in F32, no flash attention.

    One thread: several wait for each other in busy loops, which is many times slower if other programs are running."""
    return llama(
        "llama-perplexity", "-m", model, "-f", text, "-c", 512, "--chunks", windows, "-t", 1, "-ctk", "f32", "-ctv", "f32",
        "-fa", "off", *options)


def figure(output, label):
    """The number after `label` and its standard error, as llama-perplexity prints them."""
    found = re.search(re.escape(label) + r"\s*[:=]\s*([\d.]+)(?:\s*(?:±|\+/-)\s*([\d.]+))?", re.sub(" +", " ", output))
    if not found:
        raise RuntimeError(f"llama-perplexity printed no '{label}'")
    return float(found.group(1)), float(found.group(2) or 0)


def shared(relative):
    """A file or folder of ../shared; skips the check if it is missing."""
    from registry import Skip

    path = SHARED / relative
    if not path.exists():
        raise Skip(f"needs ../shared/{relative}, which is missing")
    return path
