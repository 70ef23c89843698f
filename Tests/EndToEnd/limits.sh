# Limits of the process: address space, threads, descriptors. A run gives the usual bytes, or says in one line what is missing and leaves
# nothing that it does not name.
fresh
reference=$work/unlimited
mkdir "$reference"
calibrated="--plugin awq:grid=2 --samples 2 --context 16"
# shellcheck disable=SC2086
{
  timeout 300 "$qconvert" "$in/good" "$reference/o.gguf" --scheme q4_0 $calibrated --no-report --quiet 2>/dev/null
  timeout 300 "$qconvert" "$in/good" "$reference/o" --scheme int4-g32 --shard-size 200KB --no-report --quiet 2>/dev/null
}
# The arguments for each output of the reference.
declare -A options=([o.gguf]="--scheme q4_0 $calibrated" [o]="--scheme int4-g32 --shard-size 200KB")

# judged TARGET: prints what is wrong with the run that left $code, $work/err and $out; nothing if all is well.
judged() {
  local left
  left=$(ls -A "$out" | grep -vx "$1")
  if [ "$code" -eq 0 ]; then
    diff -rq "$reference/$1" "$out/$1" >/dev/null || echo "ended with 0 and other bytes"
  elif ! [[ $code =~ ^(66|69|73|74)$ ]]; then
    echo "ended with $code: $(head -c 200 "$work/err" | tr '\n' ' ')"
  elif [ "$(grep -c '^error:' "$work/err")" -ne 1 ]; then
    echo "ended with $code without one message: $(head -c 200 "$work/err" | tr '\n' ' ')"
  elif [ -e "$out/$1" ] && ! diff -rq "$reference/$1" "$out/$1" >/dev/null; then
    echo "ended with $code and left a part of the output under its name"
  fi
  [ -z "$left" ] || grep -qF "$left" "$work/err" || echo "ended with $code and left $left unmentioned"
}

# limited TARGET LIMIT VALUE: runs a conversion under a limit of the shell, or for "threads" with that many threads besides the first.
limited() {
  local target=$1 limit=$2 value=$3
  rm -rf "${out:?}" && mkdir "$out"
  # The files of the shell itself are open before the limit is set; it also tells of signals, in its own words.
  # shellcheck disable=SC2086
  { (
    exec >"$work/stdout" 2>"$work/err" </dev/null
    if [ "$limit" = threads ]; then
      export FAULT_THREADS=$value LD_PRELOAD=$work/faults.so
    else
      ulimit "-$limit" "$value"
    fi
    exec timeout 60 "$qconvert" "$in/good" "$out/$target" ${options[$target]} --threads 4 --no-report --progress none
  ); code=$?; } 2>/dev/null
}

if ${CC:-cc} -O1 -shared -fPIC -o "$work/faults.so" "$root/Tests/Faults/faults.c" -ldl -lpthread 2>"$work/err"; then
  wrong=''
  for count in 0 1 2 3 5 9; do
    for target in o.gguf o; do
      limited "$target" threads "$count"
      problem=$(judged "$target")
      [ "$code" -eq 0 ] || problem=${problem:-ended with $code}
      [ -z "$problem" ] || wrong="$target with $count more threads: $problem"
    done
  done
  if [ -z "$wrong" ]; then pass "few threads only make a run slower"; else fail "few threads" "$wrong"; fi
else
  skip "few threads" "no C compiler"
fi

wrong='' refused=0
for count in $(seq 4 24); do
  for target in o.gguf o; do
    limited "$target" n "$count"
    problem=$(judged "$target")
    [ "$code" -eq 0 ] || refused=$((refused + 1))
    [ -z "$problem" ] || wrong="$target with $count descriptors: $problem"
  done
done
[ "$refused" -gt 0 ] || wrong=${wrong:-no number was too small}
if [ -z "$wrong" ]; then pass "few descriptors ($refused of 42 runs refused)"; else fail "few descriptors" "$wrong"; fi

# From the least address space in which the program says its version to the least in which a conversion succeeds, in megabytes.
starts() { { (ulimit -v $(($1 * 1024)) && exec "$qconvert" --version); } >/dev/null 2>&1; }
least=8
until starts "$least" || [ "$least" -gt 4096 ]; do least=$((least + 4)); done
wrong='' refused=0 tried=0
for target in o.gguf o; do
  succeeded=0
  for more in $(seq 0 2 400); do
    limited "$target" v $(((least + more) * 1024))
    tried=$((tried + 1))
    problem=$(judged "$target")
    [ -z "$problem" ] || wrong="$target in $((least + more)) MB: $problem"
    if [ "$code" -eq 0 ]; then succeeded=$((succeeded + 1)); else refused=$((refused + 1)); fi
    [ "$succeeded" -lt 4 ] || break
  done
  [ "$succeeded" -gt 0 ] || wrong=${wrong:-$target never succeeds}
done
[ "$refused" -gt 0 ] || wrong=${wrong:-no address space was too small}
if [ -z "$wrong" ]; then
  pass "little address space, from $least MB ($refused of $tried runs refused)"
else
  fail "little address space" "$wrong"
fi
