#!/usr/bin/env bash
# Runs the C kernels under the address and undefined-behaviour sanitizers, with random and hostile input, at every level that this
# processor has; checks that they compile for ARM without warnings, and that no product and sum were fused on either processor.
#   CC   a clang (default: the one beside swift)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
sources=$here/../../Sources
swift=$(realpath "$(command -v swift)")
CC=${CC:-$(dirname "$swift")/clang}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
blocks=$sources/Plugins/Formats/GGUF/CBlocks
core=$sources/QuantCore/CKernels
rules=(-Wall -Wextra -Werror)
checks=(-g -O1 -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all -fno-omit-frame-pointer)

# Compiles what the package compiles, in the same way except for the sanitizers.
build() { # NAME FOLDER SOURCE...
  local name=$1 folder=$2
  shift 2
  "$CC" "${rules[@]}" "${checks[@]}" -I"$folder/include" -I"$folder" -I"$core/include" -I"$here" -fuse-ld=lld \
    "$here/$name.c" "$folder"/*.c "$@" -lm -o "$work/$name"
}
# The block kernels ask the core which vector units there are.
build blocks "$blocks" "$core/levels.c"
build kernels "$core"
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
"$work/blocks"
for level in baseline avx2 avx512; do QCONVERT_CPU=$level "$work/kernels"; done

# Bytes must not depend on the instruction set, so a product and a sum must be two operations everywhere except in the matrix
# product for AVX2 and AVX-512, which uses fused ones explicitly. Optimized as in a release build.
unfused() { # SOURCE OBJECT
  local disassembly count
  disassembly=$("$(dirname "$CC")/llvm-objdump" -d --no-show-raw-insn "$2")
  count=$(grep -cE '\s(vfn?m(add|sub)|vfm(addsub|subadd)|fn?m(add|sub|la|ls)\b)' <<<"$disassembly" || true)
  if [ "${1##*/}" = product.c ] && grep -q x86-64 <<<"$disassembly"; then
    [ "$count" -gt 0 ] || { echo "$1 has lost its fused operations" && exit 1; }
  else
    [ "$count" -eq 0 ] || { echo "$1 has $count fused operations: FP_CONTRACT is not off there" && exit 1; }
  fi
}

# Any C library's headers will do; those that depend on the processor are replaced by the ones in the folder aarch64.
for source in "$blocks"/*.c "$core"/*.c; do
  folder=$(dirname "$source")
  "$CC" "${rules[@]}" -O2 -I"$folder/include" -I"$folder" -I"$core/include" -c "$source" -o "$work/native.o"
  unfused "$source" "$work/native.o"
  "$CC" "${rules[@]}" -O2 -target aarch64-unknown-linux-gnu -I"$here/aarch64" -idirafter "/usr/include/$(uname -m)-linux-gnu" \
    -I"$folder/include" -I"$folder" -I"$core/include" -c "$source" -o "$work/arm.o"
  unfused "$source" "$work/arm.o"
done
echo "all kernels compile for aarch64; none fuses a product with a sum where it must not"
