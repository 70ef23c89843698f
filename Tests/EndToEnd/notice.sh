# What in this checkout comes from others, and under which terms.
name="NOTICE says where all data come from"
if said=$(python3 "$here/notice.py" 2>&1); then pass "$name"; else fail "$name" "$(tr '\n' ';' <<<"$said")"; fi
name="the licence is complete"
if grep -q 'END OF TERMS AND CONDITIONS' "$root/LICENSE" && grep -q 'Version 2.0, January 2004' "$root/LICENSE"; then
  pass "$name"
else
  fail "$name" "LICENSE is not the Apache License 2.0"
fi
