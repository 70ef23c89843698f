# A conversion that is interrupted at any moment leaves nothing under the final name, and can simply be run again.
model=$root/Tests/Fixtures/models/tiny-llama
calibrated="--plugin awq:grid=4 --samples 4 --context 64"
# The command to interrupt.
command=convert

# interrupted SIGNAL MILLISECONDS TARGET OPTIONS...: starts $command, signals it, and sets $code.
interrupted() {
  local signal=$1 moment=$2
  shift 2
  # A shell without job control starts its background processes with SIGINT ignored.
  env --default-signal=INT "$qconvert" "$command" "$model" "$@" >"$work/stdout" 2>"$work/err" </dev/null &
  local process=$!
  sleep "$(printf '%d.%03d' $((moment / 1000)) $((moment % 1000)))"
  kill -s "$signal" "$process" 2>/dev/null
  wait "$process" 2>/dev/null
  code=$?
}

# stopped_at_random WHAT SIGNALS ROUNDS TARGET OPTIONS...: interrupts $command to $out/TARGET at random moments.
stopped_at_random() {
  local what=$1 signals=$2 rounds=$3 target=$4
  shift 4
  fresh
  local begin
  begin=$(date +%s%N)
  attempt "$command" "$model" "$out/$target" "$@"
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
        # It finished first, so it must be complete.
        diff -rq "$expected" "$out/$target" >/dev/null || wrong="a partial output has the final name"
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
      attempt "$command" "$model" "$out/$target" "$@"
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

# says_what_is_left NAME TEXT OPTIONS...: a run that is interrupted in its middle says so.
says_what_is_left() {
  local name=$1 text=$2
  shift 2
  for moment in 400 800 200 1600 100; do
    fresh
    interrupted INT "$moment" "$out/model.gguf" --scheme q4_k_m --plugin gptq --samples 32 --context 256 "$@"
    [ "$code" -eq 130 ] && grep -qF "$text" "$work/err" && break
  done
  if [ "$code" -eq 130 ] && grep -qF "$text" "$work/err"; then pass "$name"; else
    fail "$name" "ended with $code: $(head -c 300 "$work/err")"
  fi
}
says_what_is_left "an interrupt says that nothing is left" "interrupted: nothing of"
says_what_is_left "an interrupt says how to go on" "give the same command again to go on" --resume
fresh

# An interrupted run of calibrate cannot be resumed, and leaves nothing.
command=calibrate
stopped_at_random "statistics" "KILL TERM" 4 model.stats --samples 4 --context 64
stopped_at_random "an importance matrix" "TERM" 2 model.gguf --samples 4 --context 64
command=convert

# continued_after_kills WHAT KILLS TARGET OPTIONS...: kills runs at random moments until KILLS were killed. Each run continues the
# previous one; after at most two kills, it runs to its end.
continued_after_kills() {
  local what=$1 wanted=$2 target=$3 expected=$work/uninterrupted wrong='' kills=0 rounds=0
  shift 3
  fresh
  local begin
  begin=$(date +%s%N)
  attempt "$model" "$out/$target" "$@"
  local whole=$((($(date +%s%N) - begin) / 1000000))
  rm -rf "$expected"
  mv "$out/$target" "$expected" 2>/dev/null
  while [ "$kills" -lt "$wanted" ] && [ "$rounds" -lt $((2 * wanted)) ]; do
    rounds=$((rounds + 1))
    fresh
    code=137
    # Twice at random moments, then to the end.
    for _ in 1 2; do
      [ "$code" -ne 137 ] && break
      interrupted KILL $((RANDOM % (whole + 1))) "$out/$target" "$@" --resume --no-report
      [ "$code" -eq 137 ] && kills=$((kills + 1))
      # Killed after its last step: the output is complete, and there is nothing left to continue.
      if [ -e "$out/$target" ] && [ ! -e "$out/.$target.qc-partial/journal" ]; then
        rmdir "$out/.$target.qc-partial" 2>/dev/null
        code=0
      fi
    done
    [ "$code" -eq 137 ] && attempt "$model" "$out/$target" "$@" --resume --no-report
    [ "$code" -eq 0 ] || wrong="ended with $code: $(head -c 200 "$work/err")"
    diff -rq "$expected" "$out/$target" >/dev/null || wrong="other bytes than without interruption"
    [ "$(ls -A "$out")" = "$target" ] || wrong="left $(ls -A "$out" | tr '\n' ' ')behind"
  done
  [ "$kills" -ge "$wanted" ] || wrong="only $kills of $wanted kills came in time"
  if [ -n "$wrong" ]; then fail "$what, killed and continued" "$wrong"; else pass "$what, killed $kills times and continued"; fi
}

# shellcheck disable=SC2086
continued_after_kills "AWQ to a file" 20 model.gguf --scheme q4_k_m $calibrated
# shellcheck disable=SC2086
continued_after_kills "GPTQ to a folder" 20 model --scheme int4-g32 --plugin gptq --samples 4 --context 64
continued_after_kills "rounding to a folder" 4 model --scheme int4-g32 --shard-size 1MB

# parts: how many shards of the output have their names.
parts() { find "$out" -maxdepth 1 -name "model-0*.gguf" | wc -l; }

# A split output has many names. Clients open the first shard: if it exists, all shards exist and are complete; until then, every
# shard that has its name is complete. The next run finishes the output.
split_after_kills() {
  local wanted=$1 expected=$work/uninterrupted wrong='' kills=0 rounds=0 partly=0 part
  shift
  fresh
  local begin
  begin=$(date +%s%N)
  attempt "$model" "$out/model.gguf" "$@" --no-report
  local whole=$((($(date +%s%N) - begin) / 1000000)) count
  count=$(parts)
  [ "$count" -gt 2 ] || wrong="only $count files"
  rm -rf "$expected"
  mv "$out" "$expected"
  while [ "$kills" -lt "$wanted" ] && [ "$rounds" -lt $((2 * wanted)) ]; do
    rounds=$((rounds + 1))
    fresh
    interrupted KILL $((RANDOM % (whole + 1))) "$out/model.gguf" "$@" --resume --no-report
    [ "$code" -eq 137 ] || continue
    kills=$((kills + 1))
    for part in "$out"/model-0*.gguf; do
      [ -e "$part" ] || continue
      cmp -s "$part" "$expected/${part##*/}" || wrong="a partial ${part##*/} has its final name"
    done
    [ "$(parts)" -eq 0 ] || [ "$(parts)" -eq "$count" ] || partly=$((partly + 1))
    if [ -e "$out/model-00001-of-$(printf '%05d' "$count").gguf" ] && [ "$(parts)" -ne "$count" ]; then
      wrong="the first of $count shards exists, but only $(parts) in all"
    fi
    # If the run was killed after its last step, the output is complete and is not written again.
    if [ "$(parts)" -ne "$count" ] || [ -e "$out/.model.gguf.qc-partial/journal" ]; then
      attempt "$model" "$out/model.gguf" "$@" --resume --no-report
      [ "$code" -eq 0 ] || wrong="ended with $code: $(head -c 200 "$work/err")"
    else
      rmdir "$out/.model.gguf.qc-partial" 2>/dev/null
    fi
    diff -rq "$expected" "$out" >/dev/null || wrong="other files than without interruption: $(ls -A "$out" | tr '\n' ' ')"
  done
  [ "$kills" -ge "$wanted" ] || wrong="only $kills of $wanted kills came in time"
  if [ -n "$wrong" ]; then fail "a split file" "$wrong"; else pass "a split file, killed $kills times ($partly while it got its names) and continued"; fi
}

split_after_kills 20 --scheme q4_k_m --split-max-size 256KB

# unfinished: leaves in $out what a calibrated run to model.gguf has done until it is killed halfway.
unfinished() {
  for _ in $(seq 20); do
    fresh
    # shellcheck disable=SC2086
    "$qconvert" "$model" "$out/model.gguf" --scheme q4_k_m $calibrated >"$work/stdout" 2>"$work/err" </dev/null &
    local process=$!
    until grep -qs '"block":1' "$out/.model.gguf.qc-partial/journal" || ! kill -0 "$process" 2>/dev/null; do sleep 0.01; done
    kill -s KILL "$process" 2>/dev/null
    wait "$process" 2>/dev/null
    [ -e "$out/model.gguf" ] || return 0
  done
}

# says NAME CODE WORD ARGUMENTS...: ends with CODE, and the message contains WORD.
says() {
  local name=$1 expected=$2 word=$3
  shift 3
  attempt "$@"
  if [ "$code" -eq "$expected" ] && grep -q "$word" "$work/err"; then
    pass "$name ($expected)"
  else
    fail "$name" "ended with $code: $(head -c 300 "$work/err" | tr '\n' ' ')"
  fi
}

unfinished
# shellcheck disable=SC2086
{
  says "finished blocks are not thrown away" 73 output.unfinished "$model" "$out/model.gguf" --scheme q4_k_m $calibrated
  says "a run with other options is not continued" 64 'another scheme' "$model" "$out/model.gguf" --scheme q4_0 $calibrated --resume
  says "a run with other calibration windows is not continued" 64 'another calibration' "$model" "$out/model.gguf" --scheme q4_k_m $calibrated --seed 1 --resume
  says "an unfinished run is continued" 0 'continuing: ' "$model" "$out/model.gguf" --scheme q4_k_m $calibrated --resume
  unfinished
  # Builds differ in the build id that the linker stores in the program.
  cp "$qconvert" "$work/copy" && cp "$qconvert" "$work/another"
  python3 - "$work/another" <<'PYTHON'
import sys
path, note = sys.argv[1], b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0"
program = bytearray(open(path, "rb").read())
program[program.index(note) + len(note)] ^= 1
open(path, "wb").write(program)
PYTHON
  qconvert=$work/another \
    says "a run of another build is not continued" 64 'another program' "$model" "$out/model.gguf" --scheme q4_k_m $calibrated --resume
  qconvert=$work/copy says "a copy of the program continues its run" 0 'continuing: ' "$model" "$out/model.gguf" --scheme q4_k_m $calibrated --resume
  unfinished
  says "an unfinished run can be started over" 0 'removed what' "$model" "$out/model.gguf" --scheme q4_k_m $calibrated --force
  unfinished
  for states in "$out"/.model.gguf.qc-partial/hidden-*; do printf x >>"$states"; done
  says "a damaged leftover is refused" 65 resume.damaged "$model" "$out/model.gguf" --scheme q4_k_m $calibrated --resume
}

# Another model under the same names, with the same sizes and times.
whole=$model
cp -rp "$whole" "$work/replaced" && model=$work/replaced
unfinished
python3 - "$model" <<'PYTHON'
import os, pathlib, sys
for path in pathlib.Path(sys.argv[1]).glob("*.safetensors"):
    times, content = path.stat(), bytearray(path.read_bytes())
    for place in range(int.from_bytes(content[:8], "little") + 8, len(content), 2):
        content[place] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
PYTHON
# shellcheck disable=SC2086
says "a run with another model is not continued" 64 'another input' "$model" "$out/model.gguf" --scheme q4_k_m $calibrated --resume
model=$whole

# A mapped file that is truncated has pages that can no longer be read.
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
