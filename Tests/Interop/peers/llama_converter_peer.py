"""llama.cpp's converter of Hugging Face folders, with the gguf package of its own source tree."""
from answering import answer  # first: it redirects what the others print

import os
import pathlib
import sys

source = pathlib.Path(os.environ["CLIENTS"]) / "llama"
sys.path.insert(1, str(source))

import convert_hf_to_gguf  # noqa: E402
from conversion.base import ModelBase  # noqa: E402


def forget_options(model_class):
    """The program keeps some options in the class of the model, where they would apply to later models, too."""
    for subclass in model_class.__subclasses__():
        for name in ("no_mtp", "mtp_only"):
            if name in vars(subclass):
                delattr(subclass, name)
        forget_options(subclass)


def convert(arguments):
    """Runs the converter with the arguments of its command line."""
    sys.argv = ["convert_hf_to_gguf.py", *arguments]
    try:
        convert_hf_to_gguf.main()
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"exit code {end.code}") from end
    finally:
        forget_options(ModelBase)


answer(convert=convert)
