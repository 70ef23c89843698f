#!/usr/bin/env bash
# Converts every model in a folder, and handles each exit code of qconvert.
#   convert-all.sh MODELS OUT [options of qconvert]
# Every folder in MODELS that holds a config.json becomes OUT/<name>.gguf. Outputs that exist already are left alone, so the
# script can be run again after a failure. Ends with 0 if all outputs exist, otherwise with 1.
#   QCONVERT   the program (default: the one on PATH)
set -u
models=${1:?usage: convert-all.sh MODELS OUT [options of qconvert]}
out=${2:?usage: convert-all.sh MODELS OUT [options of qconvert]}
shift 2
qconvert=${QCONVERT:-qconvert}
mkdir -p "$out" || exit 1
converted=0 present=0 failed=0

for config in "$models"/*/config.json; do
  [ -e "$config" ] || { echo "no model in $models" >&2; exit 1; }
  folder=$(dirname "$config")
  name=$(basename "$folder")
  target=$out/$name.gguf
  if [ -e "$target" ]; then
    present=$((present + 1))
    continue
  fi
  "$qconvert" "$folder" "$target" "$@"
  code=$?
  case $code in
    0) converted=$((converted + 1)); echo "$name: converted" ;;
    10) failed=$((failed + 1)); echo "$name: converted, but it fails the quality gate" ;;
    65 | 66) failed=$((failed + 1)); echo "$name: damaged or incomplete; download it again" ;;
    69) failed=$((failed + 1)); echo "$name: not supported" ;;
    73) failed=$((failed + 1)); echo "$name: cannot create $target" ;;
    70) failed=$((failed + 1)); echo "$name: a bug of qconvert; please report it" ;;
    # After these errors, every other model would fail too.
    74) echo "$name: the disk is full or failing; free space and run this again" >&2; exit 1 ;;
    64 | 78) echo "$name: the options are wrong" >&2; exit 1 ;;
    *) echo "$name: stopped ($code)" >&2; exit 1 ;;
  esac
done
echo "$converted converted, $present already there, $failed failed"
[ "$failed" -eq 0 ]
