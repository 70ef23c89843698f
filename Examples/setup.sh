#!/usr/bin/env bash
# Installs missing system packages that building and testing qconvert needs (Debian, Ubuntu).
# A Swift toolchain (6.3) must already be installed: https://www.swift.org/install
set -euo pipefail

missing=()
header() { [ -e "/usr/include/$1" ] || missing+=("$2"); }
program() { command -v "$1" >/dev/null || missing+=("$2"); }
header xxhash.h libxxhash-dev
header zlib.h zlib1g-dev
program cc gcc
program c++ g++
program make make
program git git
program python3 python3
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
command -v swift >/dev/null || { echo "setup: no Swift toolchain found; install one from https://www.swift.org/install" >&2; exit 69; }

if [ ${#missing[@]} -eq 0 ]; then
  echo "setup: nothing is missing"
  exit 0
fi
run=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: as root, run: apt-get install ${missing[*]}" >&2; exit 69; }
  run=(sudo)
fi
echo "setup: installing ${missing[*]}"
"${run[@]}" apt-get update -qq
"${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
