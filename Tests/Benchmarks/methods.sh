#!/usr/bin/env bash
# CPU time, wall time and memory of GPTQ and AWQ, compared with GPTQModel, llm-compressor and AutoAWQ, as a Markdown page:
#   methods.sh [gptq|awq|memory|profile …] [--blocks N] [--runs N]      (default: all four, 12 blocks, 1 run of each program)
#   QCONVERT   the program to measure (default: the release build of this checkout)
#   PEERS      folder of the peers' environments (default: ~/.cache/qconvert/peers); made on the first run, some GB each.
#              A peer that cannot be installed is left out of the page. PEERS= skips all of them.
# Needs ../shared. Times are only meaningful on an idle machine: the peers' threads spin while they wait for each other.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
QCONVERT=$(realpath "${QCONVERT:-$here/../../.build/release/qconvert}")
export QCONVERT PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
clients=$("$here/../Interop/setup.sh")

if [ -n "${PEERS-default}" ]; then
  for name in llmcompressor gptqmodel autoawq; do
    if python=$("$here/../environment.sh" "$name"); then export "${name^^}_PYTHON=$python"; fi
  done
fi
exec nice "$clients/venv/bin/python" "$here/methods.py" "$@"
