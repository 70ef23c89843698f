# Examples/convert-all.sh handles each exit code.
fresh
mkdir "$work/models"
for name in good truncated unknown-architecture; do ln -s "$in/$name" "$work/models/$name"; done
name="the example script reports each model"
said=$("$root/Examples/convert-all.sh" "$work/models" "$out" --scheme q8_0 2>/dev/null)
code=$?
if [ $code -eq 1 ] && [ "$(tail -n 1 <<<"$said")" = "1 converted, 0 already there, 2 failed" ] &&
  grep -q '^good: converted$' <<<"$said" && grep -q '^truncated: damaged' <<<"$said" &&
  grep -q '^unknown-architecture: not supported$' <<<"$said" && [ "$(cd "$out" && echo *)" = 'good.gguf good.gguf.qconvert.json' ]; then
  pass "$name"
else
  fail "$name" "ended with $code: $(tr '\n' ';' <<<"$said")"
fi

name="the example script can be run again"
rm "$work/models/truncated" "$work/models/unknown-architecture"
said=$("$root/Examples/convert-all.sh" "$work/models" "$out" --scheme q8_0 2>/dev/null)
code=$?
if [ $code -eq 0 ] && [ "$said" = "0 converted, 1 already there, 0 failed" ]; then pass "$name"; else fail "$name" "$code: $said"; fi

name="the example script stops if the options are wrong"
rm "$out/good.gguf"
said=$("$root/Examples/convert-all.sh" "$work/models" "$out" --scheme q9_z 2>&1)
code=$?
if [ $code -eq 1 ] && grep -q 'the options are wrong' <<<"$said"; then pass "$name"; else fail "$name" "$code: $said"; fi
