# The collection of malformed files: each is refused with a named error, quickly and in bounded memory.
mkdir -p "$work/malformed/st" "$work/malformed/gg" "$work/malformed/out"
(cd "$work/malformed" && python3 "$root/Tests/Fixtures/malformed/generate.py" >/dev/null)
if said=$(python3 "$here/malformed.py" "$qconvert" "$work/malformed"); then
  pass "$said"
else
  fail "malformed files" "$said"
fi
