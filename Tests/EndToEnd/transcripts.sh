# What the program prints, word for word; whether the pages of Docs that are made from the sources are up to date; and whether
# the command lines of all pages are those of the program.
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
