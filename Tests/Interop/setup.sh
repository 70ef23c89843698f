#!/usr/bin/env bash
# Installs the real clients that `make interop` runs against, once, into a cache outside the checkout:
#   $CLIENTS/venv    transformers, compressed-tensors, bitsandbytes, peft, gguf, tokenizers, sentencepiece (PyPI, pinned)
#   $CLIENTS/bin     llama.cpp's own tools, built from the source package on PyPI
#   $CLIENTS/llama   llama.cpp's source tree (its Hugging Face converter is run from there)
# Prints the folder on stdout. Safe to run again; a finished installation is kept.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${QCONVERT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/qconvert}
# The build uses this CPU's instructions, so a cache that is moved to another CPU is not reused.
cpu=$( (grep -m1 '^flags' /proc/cpuinfo || uname -m) | cksum | cut -d' ' -f1)
pins=$(cksum <"$here/requirements.txt" | cut -d' ' -f1)
llama_version=0.3.36
clients="$cache/clients-$llama_version-$pins-$cpu"

say() { printf '%s\n' "$*" >&2; }

# Two runs at the same time would install over each other.
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9

if [ ! -e "$clients/.venv-done" ]; then
  say "interop: installing Python clients into $clients/venv"
  mkdir -p "$clients"
  python3 -m venv "$clients/venv"
  "$clients/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
  touch "$clients/.venv-done"
fi

if [ ! -e "$clients/.bitsandbytes-done" ]; then
  "$clients/venv/bin/pip" install --quiet --disable-pip-version-check bitsandbytes==0.50.2 >&2
  touch "$clients/.bitsandbytes-done"
fi
if [ ! -e "$clients/.peft-done" ]; then
  # Its requirements are installed already.
  "$clients/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps peft==0.21.2 >&2
  touch "$clients/.peft-done"
fi

if [ ! -e "$clients/.llama-done" ]; then
  say "interop: building llama.cpp from llama-cpp-python $llama_version"
  work="$clients/src"
  rm -rf "$work" "$clients/llama" "$clients/bin"
  mkdir -p "$work"
  "$clients/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --no-binary llama-cpp-python -d "$work" "llama-cpp-python==$llama_version" >&2
  tar -xzf "$work"/llama_cpp_python-*.tar.gz -C "$work"
  mv "$work"/llama_cpp_python-*/vendor/llama.cpp "$clients/llama"
  export PATH="$clients/venv/bin:$PATH"
  cmake -S "$clients/llama" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON \
    -DBUILD_SHARED_LIBS=ON -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
    -DLLAMA_BUILD_APP=OFF -DCMAKE_BUILD_RPATH_USE_ORIGIN=ON >"$work/cmake.log" 2>&1 || { tail -20 "$work/cmake.log" >&2; exit 1; }
  ninja -C "$work/build" llama-quantize llama-perplexity llama-completion llama-tokenize \
    >"$work/ninja.log" 2>&1 || { tail -30 "$work/ninja.log" >&2; exit 1; }
  mv "$work/build/bin" "$clients/bin"
  rm -rf "$work"
  touch "$clients/.llama-done"
fi

# A few lines of C++ on top of llama.cpp's library: prints the logits of given token ids as raw F32.
if [ "$here/llama_logits.cpp" -nt "$clients/bin/llama-logits" ]; then
  c++ -O2 -o "$clients/bin/llama-logits" "$here/llama_logits.cpp" -I"$clients/llama/include" -I"$clients/llama/ggml/include" \
    -L"$clients/bin" -lllama -lggml -lggml-base -Wl,-rpath,'$ORIGIN'
fi
if [ "$here/setup.sh" -nt "$clients/bin/llama-imatrix" ]; then
  c++ -O2 -std=c++17 -o "$clients/bin/llama-imatrix" "$clients/llama/tools/imatrix/imatrix.cpp" -I"$clients/llama/include" \
    -I"$clients/llama/ggml/include" -I"$clients/llama/common" -I"$clients/llama/vendor" \
    -L"$clients/bin" -lllama-common -lllama -lggml -lggml-base -Wl,-rpath,'$ORIGIN'
fi
if [ "$here/flush_log.c" -nt "$clients/bin/flush_log.so" ]; then
  cc -O2 -shared -fPIC -o "$clients/bin/flush_log.so" "$here/flush_log.c" -ldl
fi
printf '%s\n' "$clients"
