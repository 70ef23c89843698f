#!/usr/bin/env bash
# Tests the program from outside: exit codes, messages, and the files on disk afterwards. Needs bash and python3.
#   QCONVERT   the program to test (default: the release build of this checkout)
# One line per check; the last line is "N passed, N failed, N skipped". Exit code 1 if anything failed, or was skipped with CI set.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
qconvert=$(realpath "${QCONVERT:-$root/.build/release/qconvert}") || exit 66
[ -x "$qconvert" ] || { echo "end-to-end: no program at $qconvert; build it with 'make build'" >&2; exit 66; }
export QCONVERT=$qconvert
work=$(mktemp -d "${TMPDIR:-/tmp}/qconvert-end-to-end-XXXXXX")
mounted=
trap '[ -z "$mounted" ] || umount "$mounted"; rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0
python3 "$here/make_inputs.py" "$work/in" || exit 1
in=$work/in

pass() { passed=$((passed + 1)); echo "ok   $1"; }
fail() { failed=$((failed + 1)); echo "FAIL $1: $2"; }
skip() { skipped=$((skipped + 1)); echo "skip $1: $2"; }

# fresh: makes an empty output folder, $out.
fresh() { out=$work/out; rm -rf "$out"; mkdir "$out"; }

# attempt ARGUMENTS...: runs qconvert for at most five minutes; sets $code and leaves its errors in $work/err.
attempt() {
  timeout 300 "$qconvert" "$@" >"$work/stdout" 2>"$work/err" </dev/null
  code=$?
}

# tidy: removes what a failed check left, so that the next one starts from an empty $out.
tidy() { rm -rf "${out:?}"/*; }

# refused NAME CODE ARGUMENTS...: ends with CODE, says why in one line, writes nothing into $out.
refused() {
  local name=$1 expected=$2
  shift 2
  attempt "$@"
  local said
  said=$(head -c 300 "$work/err" | tr '\n' ' ')
  if [ "$code" -ne "$expected" ]; then
    fail "$name" "ended with $code instead of $expected: $said"
  elif [ "$(grep -c . "$work/err")" -ne 1 ]; then
    fail "$name" "the message is not one line: $said"
  elif [ -n "$(ls -A "$out")" ]; then
    fail "$name" "left $(ls -A "$out" | tr '\n' ' ')behind"
  else
    pass "$name ($expected)"
  fi
  tidy
}

# accepted NAME TARGET ARGUMENTS...: ends with 0; TARGET and its result document are the only things in $out.
accepted() {
  local name=$1 target=$2
  shift 2
  attempt "$@"
  if [ "$code" -ne 0 ]; then
    fail "$name" "ended with $code: $(head -c 300 "$work/err" | tr '\n' ' ')"
  elif [ "$(ls -A "$out" | tr '\n' ' ')" != "$target $target.qconvert.json " ]; then
    fail "$name" "wrote $(ls -A "$out" | tr '\n' ' ')instead of $target"
  else
    pass "$name"
  fi
}

for part in ${PARTS:-conversions lattices processors memory editing inputs causes outputs edges recipes adapters interruptions faults limits growth example malformed transcripts notice}; do
  # shellcheck source=/dev/null
  . "$here/$part.sh"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && { [ -z "${CI-}" ] || [ "$skipped" -eq 0 ]; }
