# The collection of malformed files, each refused with a named error, in a second, in bounded memory.
collection=$root/../shared/malformed
if [ -e "$collection/generate.py" ]; then
  mkdir -p "$work/malformed/st" "$work/malformed/gg" "$work/malformed/out"
  (cd "$work/malformed" && python3 "$collection/generate.py" >/dev/null)
  if said=$(python3 "$here/malformed.py" "$qconvert" "$work/malformed"); then
    pass "$said"
  else
    fail "malformed files" "$said"
  fi
else
  skip "malformed files" "../shared/malformed is not here"
fi
