#!/usr/bin/env bash
# CPU time, wall time and memory of folders written without calibration, compared with llm-compressor's model_free_ptq, and the memory
# that one very large tensor needs, as a Markdown page:
#   folders.sh [beside|large …] [--runs N] [--only SCHEME …]     (default: both, medians of 3 runs, all schemes)
#   QCONVERT   the program to measure (default: the release build of this checkout)
#   PEERS      folder of the peer's environment (default: ~/.cache/qconvert/peers); made on the first run. PEERS= skips it.
# Needs ../shared/tokenizers, and 10 GB of disk in $TMPDIR for the large tensor.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
QCONVERT=$(realpath "${QCONVERT:-$here/../../.build/release/qconvert}")
export QCONVERT PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
clients=$("$here/../Interop/setup.sh")
if [ -n "${PEERS-default}" ] && python=$("$here/../environment.sh" llmcompressor); then export LLMCOMPRESSOR_PYTHON=$python; fi
exec "$clients/venv/bin/python" "$here/folders.py" "$@"
