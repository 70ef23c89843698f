#!/usr/bin/env bash
# The quality lost by files of equal size in llama.cpp, made by llama-quantize with an importance matrix and by qconvert: the mean KL
# divergence that llama-perplexity measures, as the Markdown tables of Docs/results.md.
#   equal-size.sh [WINDOWS]     windows of 512 tokens of each text (default 60)
#   MODELS, SCHEMES, METHODS select what is measured; a model is a name in ../shared/models or the path of a GGUF; a method such as awq+gptq is a chain.
#   QCONVERT   the program to measure (default: the release build of this checkout)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
QCONVERT=$(realpath "${QCONVERT:-$here/../../.build/release/qconvert}")
[ -d "$here/../../../shared/models" ] || { echo "equal-size: needs ../shared, which is missing" >&2; exit 66; }
CLIENTS=$("$here/../Interop/setup.sh")
export QCONVERT CLIENTS PYTHONPATH=$here/../Interop PYTHONDONTWRITEBYTECODE=1
exec "$CLIENTS/venv/bin/python" "$here/equal_size.py" "$@"
