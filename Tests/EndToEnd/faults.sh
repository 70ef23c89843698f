# System calls that fail, programs that end at any of them or at random moments, and power cuts: a selection of what `make faults` tries.
for how in --quick "--kills 40 --seed 1"; do
  while read -r outcome text; do
    case $outcome in
      ok) pass "$text" ;;
      FAIL) fail "$text" "see the lines below" ;;
      *) echo "     $outcome $text" ;;
    esac
    # shellcheck disable=SC2086
  done < <(python3 "$root/Tests/Faults/campaign.py" "$qconvert" $how 2>&1)
done
