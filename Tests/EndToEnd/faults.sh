# System calls that fail, programs that end at any of them, and power cuts: a selection of what `make faults` tries.
while read -r outcome text; do
  case $outcome in
    ok) pass "$text" ;;
    FAIL) fail "$text" "see the lines below" ;;
    *) echo "     $outcome $text" ;;
  esac
done < <(python3 "$root/Tests/Faults/campaign.py" "$qconvert" --quick 2>&1)
