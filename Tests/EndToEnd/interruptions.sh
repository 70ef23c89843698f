# A conversion that is stopped at any moment leaves nothing under the final name, and can simply be run again.
model=$root/Tests/Fixtures/models/tiny-llama
fresh
begin=$(date +%s%N)
attempt "$model" "$out/model.gguf" --scheme q4_k_m
whole=$((($(date +%s%N) - begin) / 1000000))
[ "$code" -eq 0 ] || fail "a conversion to interrupt" "ended with $code: $(head -c 200 "$work/err")"
expected=$work/uninterrupted.gguf
mv "$out/model.gguf" "$expected" 2>/dev/null

# interrupted SIGNAL MILLISECONDS: starts a conversion, signals it, and sets $code.
interrupted() {
  "$qconvert" "$model" "$out/model.gguf" --scheme q4_k_m >"$work/stdout" 2>"$work/err" </dev/null &
  local process=$!
  sleep "$(printf '%d.%03d' $(($2 / 1000)) $(($2 % 1000)))"
  kill -s "$1" "$process" 2>/dev/null
  wait "$process" 2>/dev/null
  code=$?
}

for signal in KILL TERM; do
  name="SIG$signal at random moments"
  wrong= stopped=0
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    fresh
    interrupted "$signal" $((RANDOM % (whole + 1)))
    if [ -e "$out/model.gguf" ]; then
      # It finished first; then it must be whole.
      cmp -s "$expected" "$out/model.gguf" || wrong="a partial file stands under the final name"
      continue
    fi
    stopped=$((stopped + 1))
    case $signal:$code in
      KILL:137 | TERM:143 | TERM:75) ;;
      *) wrong="ended with $code" ;;
    esac
    [ "$signal" = KILL ] || [ -z "$(ls -A "$out")" ] || wrong="left $(ls -A "$out") behind"
    attempt "$model" "$out/model.gguf" --scheme q4_k_m
    cmp -s "$expected" "$out/model.gguf" || wrong="the next run ended with $code or wrote other bytes"
  done
  if [ -n "$wrong" ]; then fail "$name" "$wrong"; else pass "$name ($stopped of 10 stopped in time)"; fi
done
