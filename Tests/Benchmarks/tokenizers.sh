#!/usr/bin/env bash
# How fast text becomes tokens, compared with Hugging Face's tokenizers with one thread, as a Markdown page:
#   tokenizers.sh [--runs N] [--page FILE]
#   QCONVERT   the program to measure (default: the release build of this checkout)
# Needs ../shared/tokenizers and ../shared/text; takes about two minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
QCONVERT=$(realpath "${QCONVERT:-$here/../../.build/release/qconvert}")
export QCONVERT
CLIENTS=$("$here/../Interop/setup.sh")
export PYTHONDONTWRITEBYTECODE=1
exec "$CLIENTS/venv/bin/python" "$here/text_to_tokens.py" "$@"
