#!/usr/bin/env bash
# A package can depend on a version of this one, by a repository's address and a tag. SwiftPM refuses that if a target has unsafe
# flags. The working tree, committed or not, is built as the only commit of a repository with the tag 0.1.0. Needs git and a few
# minutes.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/qconvert-versioned-package-XXXXXX")
trap 'rm -rf "$work"' EXIT
check() {
  if "${@:2}"; then echo "ok   $1"; else echo "FAIL $1" && exit 1; fi
}

git init -q -b main "$work/qconvert"
git -C "$root" ls-files -z --cached --others --exclude-standard -- LICENSE NOTICE Package.swift Sources Tests |
  (cd "$root" && xargs -0 sh -c 'for file; do [ ! -e "$file" ] || printf "%s\0" "$file"; done' -) |
  tar -C "$root" --null -T - -cf - | tar -C "$work/qconvert" -xf -
git -C "$work/qconvert" add -A
git -C "$work/qconvert" -c user.name=tests -c user.email=tests@localhost -c core.hooksPath= commit -qm "Version 0.1.0"
git -C "$work/qconvert" tag 0.1.0

mkdir -p "$work/reader/Sources/reader"
cat >"$work/reader/Package.swift" <<SWIFT
// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "reader",
  platforms: [.macOS(.v15)],
  dependencies: [.package(url: "file://$work/qconvert", from: "0.1.0")],
  targets: [.executableTarget(name: "reader", dependencies: [.product(name: "QuantCore", package: "qconvert")])]
)
SWIFT
cat >"$work/reader/Sources/reader/main.swift" <<'SWIFT'
import QuantCore

// Rounds four weights as int4-g4 does.
guard let scheme = IntegerScheme(bits: 4, groupLength: 4, isSymmetric: true, modelType: .f32) else { fatalError("no such scheme") }
var weights = Matrix(rows: 1, columns: 4)
weights.values = [7.5, -7.5, 1, 0.4]
print(scheme.name, weights.withPanel { scheme.roundTrip($0) })
SWIFT

# The build folder is kept, so that a second run builds only what changed.
arguments=(--package-path "$work/reader" --scratch-path "$root/.build-versioned")
rm -rf "$root/.build-versioned/checkouts/qconvert" "$root/.build-versioned/repositories" "$root/.build-versioned/workspace-state.json"
check "a version resolves" swift package "${arguments[@]}" resolve
resolved() { grep -q '"version" : "0.1.0"' "$work/reader/Package.resolved"; }
check "the version is the one of the tag" resolved
check "it builds" swift build "${arguments[@]}" --product reader
said() { [ "$("$(swift build "${arguments[@]}" --show-bin-path)/reader")" = "int4-g4 [7.0, -8.0, 1.0, 0.0]" ]; }
check "it rounds" said
