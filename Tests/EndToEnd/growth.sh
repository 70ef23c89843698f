# Time and memory grow no faster than what is read.
while read -r outcome text; do
  case $outcome in
    ok) pass "$text" ;;
    FAIL) fail "$text" "" ;;
    *) echo "     $outcome $text" ;;
  esac
done < <(python3 "$here/growth.py" "$qconvert" "$in/good" 2>&1)
