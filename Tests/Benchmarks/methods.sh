#!/usr/bin/env bash
# CPU time, wall time and memory of GPTQ and AWQ beside GPTQModel, llm-compressor and AutoAWQ, as a Markdown page:
#   methods.sh [gptq|awq|memory|profile …] [--blocks N] [--runs N]      (default: all four, 12 blocks, 1 run of each program)
#   QCONVERT   the program to measure (default: the release build of this checkout)
#   PEERS      folder of the peers' environments (default: ~/.cache/qconvert/peers); made on the first run, some GB each.
#              A peer that cannot be installed is left out of the page. PEERS= leaves all of them out.
# Needs ../shared. Times mean something on an idle machine only: the peers' threads spin while they wait for each other.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
QCONVERT=$(realpath "${QCONVERT:-$here/../../.build/release/qconvert}")
export QCONVERT PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
clients=$("$here/../Interop/setup.sh")
peers=${PEERS-${QCONVERT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/qconvert}/peers}

# environment NAME PACKAGE…: the path of its Python; fails where it cannot be made. A package behind -- comes without what it
# asks for.
environment() {
  local folder=$peers/$1 packages=() alone=()
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do packages+=("$1") && shift; done
  alone=("${@:2}")
  if [ ! -e "$folder/.complete" ]; then
    echo "benchmark: installing ${packages[*]} ${alone[*]} into $folder" >&2
    rm -rf "$folder"
    {
      python3 -m venv "$folder" && "$folder/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}" &&
        { [ ${#alone[@]} = 0 ] || "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation "${alone[@]}"; }
    } >&2 || return 1
    touch "$folder/.complete"
  fi
  echo "$folder/bin/python"
}

if [ -n "$peers" ]; then
  if python=$(environment llmcompressor torch==2.13.0 transformers==5.17.0 llmcompressor==0.14.0.1); then
    export LLMCOMPRESSOR_PYTHON=$python
  fi
  # It asks for a newer PyTorch than it needs.
  if python=$(environment gptqmodel torch==2.13.0 transformers==5.23.0 torchao==0.18.0 accelerate datasets defuser device-smi dill \
    logbar maturin ninja pyarrow pypcre requests setuptools threadpoolctl tokenicer wheel -- gptqmodel==7.7.0); then
    export GPTQMODEL_PYTHON=$python
  fi
  if python=$(environment autoawq torch==2.13.0 transformers==4.51.3 autoawq==0.2.9); then export AUTOAWQ_PYTHON=$python; fi
fi
exec nice "$clients/venv/bin/python" "$here/methods.py" "$@"
