#!/usr/bin/env bash
# CPU time, wall time, memory and traffic of GGUF files, compared with llama.cpp's converter and quantizer, as a Markdown page and a plot:
#   gguf.sh [--models 100m 1b] [--types q8_0 …] [--runs N] [--results FILE] [--page FOLDER]
#   QCONVERT   the program to measure (default: the release build of this checkout)
# The types are those that both programs write. Figures are collected in a file, and those that it contains are not measured
# again: a table can be made in several runs. All of it takes about half an hour with one run of each.
# Needs ../shared/tokenizers and, for the larger model, 10 GB of disk in $TMPDIR; installs llama.cpp on the first run, like
# Tests/Interop.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
QCONVERT=$(realpath "${QCONVERT:-$here/../../.build/release/qconvert}")
export QCONVERT
CLIENTS=$("$here/../Interop/setup.sh")
export CLIENTS PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
exec "$CLIENTS/venv/bin/python" "$here/gguf.py" "$@"
