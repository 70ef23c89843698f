#!/usr/bin/env bash
# Time and memory of qconvert beside llama.cpp's converter and quantizer, on a random Llama of about 120 million parameters.
# Prints a Markdown page. Needs ../shared/tokenizers; installs llama.cpp on the first run, like Tests/Interop.
#   QCONVERT   the program to measure (default: the release build of this checkout)
#   RUNS       runs of each program, alternating (default 5)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
QCONVERT=$(realpath "${QCONVERT:-$here/../../.build/release/qconvert}")
export QCONVERT
CLIENTS=$("$here/../Interop/setup.sh")
export CLIENTS PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
exec "$CLIENTS/venv/bin/python" "$here/measure.py"
