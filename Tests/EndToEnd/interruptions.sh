# A conversion that is stopped at any moment leaves nothing under the final name, and can simply be run again.
model=$root/Tests/Fixtures/models/tiny-llama
calibrated="--plugin awq:grid=4 --samples 4 --context 64"

# interrupted SIGNAL MILLISECONDS TARGET OPTIONS...: starts a conversion, signals it, and sets $code.
interrupted() {
  local signal=$1 moment=$2
  shift 2
  # A shell without job control starts its background processes with SIGINT ignored.
  env --default-signal=INT "$qconvert" "$model" "$@" >"$work/stdout" 2>"$work/err" </dev/null &
  local process=$!
  sleep "$(printf '%d.%03d' $((moment / 1000)) $((moment % 1000)))"
  kill -s "$signal" "$process" 2>/dev/null
  wait "$process" 2>/dev/null
  code=$?
}

# stopped_at_random WHAT SIGNALS ROUNDS TARGET OPTIONS...: interrupts conversions to $out/TARGET at random moments.
stopped_at_random() {
  local what=$1 signals=$2 rounds=$3 target=$4
  shift 4
  fresh
  local begin
  begin=$(date +%s%N)
  attempt "$model" "$out/$target" "$@"
  local whole=$((($(date +%s%N) - begin) / 1000000)) expected=$work/uninterrupted
  [ "$code" -eq 0 ] || fail "a conversion to interrupt" "ended with $code: $(head -c 200 "$work/err")"
  rm -rf "$expected"
  mv "$out/$target" "$expected" 2>/dev/null
  local signal
  for signal in $signals; do
    local wrong='' stopped=0
    for _ in $(seq "$rounds"); do
      fresh
      interrupted "$signal" $((RANDOM % (whole + 1))) "$out/$target" "$@"
      if [ -e "$out/$target" ]; then
        # It finished first; then it must be whole.
        diff -rq "$expected" "$out/$target" >/dev/null || wrong="a partial output stands under the final name"
        continue
      fi
      stopped=$((stopped + 1))
      case $signal:$code in
        KILL:137 | TERM:143 | INT:130 | HUP:129) ;;
        *) wrong="ended with $code" ;;
      esac
      if [ "$signal" = KILL ]; then
        ls -A "$out" | grep -qv '^\..*-partial$' && wrong="left $(ls -A "$out") behind"
      else
        [ -z "$(ls -A "$out")" ] || wrong="left $(ls -A "$out") behind"
      fi
      attempt "$model" "$out/$target" "$@"
      diff -rq "$expected" "$out/$target" >/dev/null || wrong="the next run ended with $code or wrote other bytes"
    done
    if [ -n "$wrong" ]; then
      fail "SIG$signal at random moments of $what" "$wrong"
    else
      pass "SIG$signal at random moments of $what ($stopped of $rounds stopped in time)"
    fi
  done
}

stopped_at_random "a file" "KILL TERM INT" 8 model.gguf --scheme q4_k_m
stopped_at_random "a folder" "KILL TERM" 5 model --scheme int4-g32 --shard-size 1MB
# shellcheck disable=SC2086
stopped_at_random "a calibrated file" "TERM" 4 model.gguf --scheme q4_k_m $calibrated
# shellcheck disable=SC2086
stopped_at_random "a calibrated folder" "TERM" 4 model --scheme int4-g32 $calibrated

# A mapped file that becomes shorter has pages that cannot be read any more.
for way in shrinks changes; do
  name="an input that $way during the run"
  fresh
  cp -r "$model" "$work/$way"
  # shellcheck disable=SC2086
  "$qconvert" "$work/$way" "$out/model.gguf" --scheme q4_k_m $calibrated >"$work/stdout" 2>"$work/err" </dev/null &
  process=$!
  for _ in $(seq 500); do
    [ -z "$(ls -A "$out")" ] || break
    sleep 0.01
  done
  for shard in "$work/$way"/*.safetensors; do
    if [ "$way" = shrinks ]; then truncate -s 100 "$shard"; else touch "$shard"; fi
  done
  wait "$process"
  code=$?
  if [ "$code" -eq 74 ] && [ -z "$(ls -A "$out")" ] && grep -q 'input.changed' "$work/err"; then
    pass "$name (74)"
  else
    fail "$name" "ended with $code, left '$(ls -A "$out")': $(head -c 200 "$work/err")"
  fi
done
