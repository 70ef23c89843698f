# Outputs that cannot be.
fresh
refused "an output folder that is not there" 73 "$in/good" "$out/nowhere/model.gguf" --scheme q8_0

name="an output folder that cannot be written to"
fresh
if [ "$(id -u)" -eq 0 ]; then
  refused "$name" 73 "$in/good" /sys/model.gguf --scheme q8_0
else
  mkdir "$work/closed" && chmod 555 "$work/closed"
  refused "$name" 73 "$in/good" "$work/closed/model.gguf" --scheme q8_0
fi

name="an output that exists is left alone"
fresh
echo precious >"$out/model.gguf"
attempt "$in/good" "$out/model.gguf" --scheme q8_0
if [ "$code" -eq 73 ] && [ "$(cat "$out/model.gguf")" = precious ] && [ "$(ls -A "$out")" = model.gguf ]; then
  pass "$name (73)"
else
  fail "$name" "ended with $code; the folder holds $(ls -A "$out" | tr '\n' ' ')"
fi

# The input under another name, as a hard link and as a symbolic one: even --force must not destroy it.
for kind in hard symbolic; do
  name="an output that is a $kind link to the input"
  fresh
  cp "$work/good.gguf" "$out/in.gguf"
  if [ "$kind" = hard ]; then ln "$out/in.gguf" "$out/model.gguf"; else ln -s in.gguf "$out/model.gguf"; fi
  attempt "$out/in.gguf" "$out/model.gguf" --scheme q4_0 --allow-requantize --force
  if [ "$code" -eq 73 ] && cmp -s "$work/good.gguf" "$out/in.gguf" && cmp -s "$out/in.gguf" "$out/model.gguf"; then
    pass "$name (73)"
  else
    fail "$name" "ended with $code: $(head -c 200 "$work/err")"
  fi
done

name="an output folder that is the input folder"
fresh
cp -r "$in/good" "$out/model"
attempt "$out/model" "$out/model" --scheme int4-g32 --force
if [ "$code" -eq 73 ] && diff -r "$in/good" "$out/model" >/dev/null; then
  pass "$name (73)"
else
  fail "$name" "ended with $code, or the input has changed"
fi

# The target needs 2.2 MB; the limit lets 0.5 MB be written. The signal that comes with the limit is ignored, as a daemon would.
fresh
name="a file size limit"
(trap '' XFSZ; ulimit -f 500; exec timeout 60 "$qconvert" "$in/good" "$out/model.gguf" --scheme f32) >/dev/null 2>"$work/err" </dev/null
code=$?
if [ "$code" -eq 74 ] && [ -z "$(ls -A "$out")" ] && [ "$(grep -c . "$work/err")" -eq 1 ]; then
  pass "$name (74)"
else
  fail "$name" "ended with $code, left '$(ls -A "$out")': $(head -c 200 "$work/err")"
fi

name="a full disk"
fresh
if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=1m none "$out" 2>/dev/null; then
  mounted=$out
  refused "$name" 74 "$in/good" "$out/model.gguf" --scheme f32
  refused "$name under a folder" 74 "$in/good" "$out/model" --scheme f32
  refused "$name under a calibrated output" 74 "$in/good" "$out/model.gguf" --scheme f32 --tensor '*.ffn_up.*=q8_0' --pure \
    --plugin awq:grid=2 --calibration "$root/README.md" --samples 1 --context 16 --quiet
  umount "$out" && mounted=
else
  skip "$name" "a small file system can only be mounted by root"
fi
