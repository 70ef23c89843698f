# Outputs that cannot be written.
fresh
refused "an output folder that does not exist" 73 "$in/good" "$out/nowhere/model.gguf" --scheme q8_0

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

# The input under another name, as a hard link and as a symbolic link: even --force must not destroy it.
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

# The output needs 2.2 MB; the limit allows 0.5 MB. The signal that comes with the limit is ignored, as in a daemon.
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

# What --force must not replace. $1: name of the check; $2: what must still be there, as 'ls -lA' without times lists it.
listed() { (cd "$out" && ls -lA --time-style=+ | tail -n +2); }
untouched() {
  local name=$1 before=$2
  shift 2
  attempt "$@"
  if [ "$code" -eq 73 ] && [ "$(listed)" = "$before" ] && [ "$(grep -c . "$work/err")" -eq 1 ]; then
    pass "$name (73)"
  else
    fail "$name" "ended with $code: $(head -c 200 "$work/err"); the folder holds $(ls -A "$out" | tr '\n' ' ')"
  fi
}

fresh
attempt "$in/good" "$out/model" --scheme int4-g32 --no-report --quiet
echo precious >"$out/model/thesis.txt"
untouched "a folder with a foreign file is not replaced" "$(listed)" "$in/good" "$out/model" --scheme int4-g32 --force --no-report
if [ "$(cat "$out/model/thesis.txt")" = precious ] && grep -q "thesis.txt" "$work/err" && grep -q 'output.foreign' "$work/err"; then
  pass "the foreign file is named, and is still there"
else
  fail "the foreign file is named, and is still there" "$(head -c 200 "$work/err")"
fi
rm "$out/model/thesis.txt"
accepted "a folder that qconvert wrote is replaced" model "$in/good" "$out/model" --scheme int4-g32 --force

fresh
mkdir "$out/model"
accepted "an empty folder needs no --force" model "$in/good" "$out/model" --scheme int4-g32

# A private device node if one can be created, so that a failing check does not damage the system's.
device=$work/null
mknod "$device" c 1 3 2>/dev/null || device=/dev/null
fresh
mkfifo "$out/model.gguf"
untouched "a pipe is not replaced" "$(listed)" "$in/good" "$out/model.gguf" --scheme q8_0 --force --no-report
fresh
ln -s "$device" "$out/model.gguf"
untouched "a link to a device is not replaced" "$(listed)" "$in/good" "$out/model.gguf" --scheme q8_0 --force --no-report
fresh
before=$(stat -c '%F %t %T %i' "$device")
untouched "a device is not replaced" "" "$in/good" "$device" --to gguf --scheme q8_0 --force --no-report
untouched "a device takes no report" "" "$in/good" "$out/model.gguf" --scheme q8_0 --force --report "$device"
printf '1 2 3\n' >"$work/ids"
untouched "a device takes no logits" "" logits "$in/good" "$device" --ids "$work/ids" --force
untouched "a device takes no statistics" "" calibrate "$in/good" "$device" --samples 1 --context 16 --force --quiet
name="the device is unchanged"
if [ "$(stat -c '%F %t %T %i' "$device")" = "$before" ]; then pass "$name"; else fail "$name" "it is not"; fi
untouched "standard output takes no report" "" "$in/good" "$out/model.gguf" --scheme q8_0 --force --report /dev/stdout
# If that check failed as root, the link would be gone.
[ -L /dev/stdout ] || ln -sf /proc/self/fd/1 /dev/stdout
mkfifo "$out/model.gguf.qconvert.json"
untouched "a pipe in the place of the result document is not replaced" "$(listed)" "$in/good" "$out/model.gguf" --scheme q8_0

name="a replaced file keeps its permissions"
fresh
(umask 077 && echo old >"$out/model.gguf")
attempt "$in/good" "$out/model.gguf" --scheme q8_0 --force --no-report
if [ "$code" -eq 0 ] && [ "$(stat -c %a "$out/model.gguf")" = 600 ]; then pass "$name"; else fail "$name" "$code, $(stat -c %a "$out/model.gguf")"; fi

fresh
mkdir "$work/precious" && echo precious | tee "$work/precious/output" "$work/precious/journal" "$work/precious/thesis" >/dev/null
ln -s "$work/precious" "$out/.model.gguf.qc-partial"
for option in --no-report --force --resume; do
  untouched "a link where the run keeps its work is not followed ($option)" "$(listed)" "$in/good" "$out/model.gguf" --scheme q8_0 $option
done
name="the target of that link is untouched"
if [ "$(cat "$work/precious/output" "$work/precious/journal" "$work/precious/thesis" | sort -u)" = precious ] &&
  grep -q 'qc-partial' "$work/err"; then
  pass "$name"
else
  fail "$name" "$(ls -A "$work/precious" | tr '\n' ' ')"
fi
