"""The same bytes for any number of threads."""
import hashlib

from clients import WORK, convert
from models import TINY_LLAMA
from registry import check, require


def digest(path):
    """SHA-256 over the names and bytes of a file, or of all files of a folder."""
    total = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            total.update(file.name.encode() if path.is_dir() else b"")
            total.update(file.read_bytes())
    return total.hexdigest()


# A short text: threads share its windows.
TEXT = {"rtn": (), "awq": ("--samples", 16, "--context", 128)}


@check("1, 2 and 3 threads write the same bytes, {}", [("q4_k_m", "rtn"), ("q4_k_m", "awq"), ("w4a16", "awq")], slow_cases=[
    ("q8_0", "rtn"), ("w8a16", "rtn"), ("q4_0", "awq")])
def same_bytes(case):
    scheme, method = case
    suffix = "" if scheme.startswith("w") else ".gguf"
    digests = set()
    for threads in (1, 2, 3):
        target = WORK / f"threads-{scheme}-{method}-{threads}" / ("model" + suffix)
        target.parent.mkdir()
        digests.add(digest(convert(TINY_LLAMA, target, "--scheme", scheme, "--plugin", method, *TEXT[method], "--threads", threads)))
    require(len(digests) == 1, f"{len(digests)} different outputs")
