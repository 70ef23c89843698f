#!/usr/bin/env python3
"""transcripts.py QCONVERT [--accept]: runs the command lines in Tests/Transcripts and compares what they print.

A block between lines of three backticks that begins with `$ ` is one command line for bash, its output (standard output and
standard error together), and `exit N` if the exit code is not 0. The commands of one page share a folder, in which
`tiny-llama` is the model of Tests/Fixtures. Prints one line per page; with --accept, writes the output into the pages instead.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```\n\$ (.*)\n((?:.*\n)*?)```$", re.MULTILINE)


def run(command, folder, environment):
    """Output of a command line, with its exit code if that is not 0."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=120, check=False)
    text = done.stdout.decode()
    if text and not text.endswith("\n"):
        text += "\n"
    return text + (f"exit {done.returncode}\n" if done.returncode else "")


def main():
    program, accept = pathlib.Path(sys.argv[1]).resolve(), "--accept" in sys.argv
    failed = False
    for page in sorted((TESTS / "Transcripts").glob("*.md")):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(f"{folder}/.bin")
            os.symlink(program, f"{folder}/.bin/qconvert")
            os.symlink(TESTS / "Fixtures" / "models" / "tiny-llama", f"{folder}/tiny-llama")
            os.symlink(TESTS / "Fixtures" / "text" / "evaluation.txt", f"{folder}/text.txt")
            environment = {"PATH": f"{folder}/.bin:{os.environ['PATH']}", "LC_ALL": "C", "COLUMNS": "80", "TERM": "dumb"}
            wrong = []

            def replaced(match):
                printed = run(match[1], folder, environment)
                if printed != match[2]:
                    wrong.append(f"'{match[1]}' printed:\n{printed}")
                return f"```\n$ {match[1]}\n{printed}```"

            text = page.read_text()
            result = BLOCK.sub(replaced, text)
        if accept:
            page.write_text(result)
        elif wrong:
            failed = True
            print(f"FAIL transcript {page.name}: {wrong[0]}")
        else:
            print(f"ok   transcript {page.name}")
    sys.exit(failed)


main()
