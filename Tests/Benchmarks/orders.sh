#!/usr/bin/env bash
# GPTQ's output error with each column order, by scheme, as the Markdown table of Docs/methods.md.
#   orders.sh [SCHEME…]
#   QCONVERT   the program to measure (default: the release build of this checkout)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
QCONVERT=$(realpath "${QCONVERT:-$here/../../.build/release/qconvert}")
[ -d "$here/../../../shared/models" ] || { echo "orders: needs ../shared, which is missing" >&2; exit 66; }
CLIENTS=$("$here/../Interop/setup.sh")
export QCONVERT CLIENTS PYTHONPATH=$here/../Interop PYTHONDONTWRITEBYTECODE=1
exec "$CLIENTS/venv/bin/python" "$here/orders.py" "$@"
