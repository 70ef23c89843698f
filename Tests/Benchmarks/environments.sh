# Sourced by the benchmarks: environments of the programs that qconvert is measured beside.
peers=${PEERS-${QCONVERT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/qconvert}/peers}

# environment NAME PACKAGE…: the path of its Python; fails where it cannot be made. A package behind -- comes without what it
# asks for.
environment() {
  local folder=$peers/$1 packages=() alone=()
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do packages+=("$1") && shift; done
  alone=("${@:2}")
  if [ ! -e "$folder/.complete" ]; then
    echo "benchmark: installing ${packages[*]} ${alone[*]} into $folder" >&2
    rm -rf "$folder"
    {
      python3 -m venv "$folder" && "$folder/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}" &&
        { [ ${#alone[@]} = 0 ] || "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation "${alone[@]}"; }
    } >&2 || return 1
    touch "$folder/.complete"
  fi
  echo "$folder/bin/python"
}

llmcompressor() { environment llmcompressor torch==2.13.0 transformers==5.17.0 llmcompressor==0.14.0.1; }
