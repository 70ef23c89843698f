# Checks what the program prints, word for word; whether pages of Docs that are generated from the sources are up to date; and
# whether the command lines on all pages are valid.
while IFS= read -r line; do
  echo "$line"
  case $line in
    ok*) passed=$((passed + 1)) ;;
    FAIL*) failed=$((failed + 1)) ;;
  esac
done < <(
  python3 "$here/transcripts.py" "$qconvert"
  python3 "$here/documented.py" "$qconvert"
)

name="every error id is in Docs/errors.md"
if said=$(python3 "$root/Docs/list-errors.py" --check 2>&1); then pass "$name"; else fail "$name" "$said"; fi
name="Docs/families.md lists the families of the program"
if said=$(python3 "$root/Docs/list-families.py" "$qconvert" --check 2>&1); then pass "$name"; else fail "$name" "$said"; fi
name="Docs/reference lists the public declarations as they are"
if said=$(python3 "$root/Docs/list-api.py" --check 2>&1); then pass "$name"; else fail "$name" "$said"; fi
