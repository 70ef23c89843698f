#!/usr/bin/env bash
# Checks qconvert against the clients of its output. Installs them on the first run (some minutes).
#   run.sh [--all | --slow] [--only WORD] [--keep]
#     --all    also the slow checks: more models, schemes and text; vLLM (loads every format that its CPU build supports, equal
#              codes in four packings), llm-compressor (bytes of its rounding, MX formats and FP8 blocks in its transformers),
#              ModelOpt (bytes and scales of its FP8 with rounded caches) and mlx-lm (values and logits of its packing, both ways),
#              which are installed for it in environments of their own (../environment.sh, 5 GB)
#     --slow   only what --all adds
#     --only   only checks whose title contains WORD, or those of checks/WORD.py
#     --keep   keep the working folder
#   QCONVERT   the program to test (default: the release build of this checkout)
# One line per check, then the time of each file in checks/; the last line is "N passed, N failed, N skipped". Exit code 1
# if anything failed, or was skipped with CI set.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export QCONVERT=${QCONVERT:-$here/../../.build/release/qconvert}
if [ ! -x "$QCONVERT" ]; then
  echo "interop: no program at $QCONVERT; build it with 'make build' or set QCONVERT" >&2
  exit 66
fi
CLIENTS=$("$here/setup.sh")
export CLIENTS
# Nothing is fetched from the network, and no client leaves files in its own installation.
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false TQDM_DISABLE=1 PYTHONDONTWRITEBYTECODE=1
exec "$CLIENTS/venv/bin/python" "$here/interop.py" "$@"
