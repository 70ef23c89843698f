#!/usr/bin/env bash
# Time and memory of GPTQ and AWQ beside GPTQModel and llm-compressor, as a Markdown page: methods.sh [--blocks N]
#   QCONVERT   the program to measure (default: the release build of this checkout)
#   PEERS      folder of the peers' environments (default: ~/.cache/qconvert/peers); made on the first run, some GB each.
#              A peer that cannot be installed is left out of the page. PEERS= leaves all of them out.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
QCONVERT=$(realpath "${QCONVERT:-$here/../../.build/release/qconvert}")
export QCONVERT PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
clients=$("$here/../Interop/setup.sh")
peers=${PEERS-$HOME/.cache/qconvert/peers}

# environment NAME PACKAGE…: the path of its Python; fails where it cannot be made.
environment() {
  local folder=$peers/$1
  shift
  if [ ! -e "$folder/complete" ]; then
    rm -rf "$folder"
    { python3 -m venv "$folder" && "$folder/bin/pip" install --quiet --extra-index-url https://download.pytorch.org/whl/cpu "$@"; } >&2 || return 1
    touch "$folder/complete"
  fi
  echo "$folder/bin/python"
}

if [ -n "$peers" ]; then
  if python=$(environment llmcompressor llmcompressor); then export LLMCOMPRESSOR_PYTHON=$python; fi
  if python=$(environment gptqmodel torch numpy transformers gptqmodel); then export GPTQMODEL_PYTHON=$python; fi
fi
exec nice "$clients/venv/bin/python" "$here/methods.py" "$@"
