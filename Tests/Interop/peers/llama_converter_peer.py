"""llama.cpp's converter of Hugging Face folders, with the gguf package of its own source tree."""
from answering import answer  # first: it redirects what the others print

import os
import pathlib
import sys

source = pathlib.Path(os.environ["CLIENTS"]) / "llama"
sys.path.insert(1, str(source))

import convert_hf_to_gguf  # noqa: E402


def convert(arguments):
    """Runs the converter with the arguments of its command line."""
    sys.argv = ["convert_hf_to_gguf.py", *arguments]
    try:
        convert_hf_to_gguf.main()
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"exit code {end.code}") from end


answer(convert=convert)
