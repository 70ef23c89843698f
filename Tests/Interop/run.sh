#!/usr/bin/env bash
# Holds qconvert against the programs that read its output. Installs them on the first run (some minutes).
#   run.sh [--all] [--only WORD] [--keep]
#     --all    also the slow checks: more models, more schemes, more text
#     --only   only checks whose title contains WORD
#     --keep   leave the working folder behind
#   QCONVERT   the program to test (default: the release build of this checkout)
# One line per check; the last line is "N passed, N failed". Exit code 1 where anything failed.
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
