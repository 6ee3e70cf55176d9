#!/usr/bin/env bash
# exported_symbols_test.sh LIBRARY INCLUDE_DIR: checks that a shared library exports exactly what
# its public headers declare.
set -euo pipefail
library=$1 headers=$2

fail() {
  printf 'exported_symbols_test: %s\n' "$*" >&2
  exit 1
}

symbols=$(nm -DC --defined-only -- "$library" | cut -d ' ' -f 3-)
for expected in 'bitaxon::open_session(' 'bitaxon::generate(' 'bitaxon::State::~State(' \
  'bitaxon::linear(' 'typeinfo for bitaxon::Error' 'typeinfo for bitaxon::OutOfMemory'; do
  grep -qF -- "$expected" <<<"$symbols" || fail "$expected... is not exported"
done

# A symbol counts as public if every part of its qualified name occurs in the headers.
declared=$(cat -- "$headers"/*.h | grep -oE '[A-Za-z_]\w*' | sort -u)
names=$(sed -E 's/^(typeinfo for|typeinfo name for|vtable for|non-virtual thunk to) //; s/\(.*//; s/\[abi:.*//' \
  <<<"$symbols" | sort -u)
hidden=$(while read -r name; do
  [[ $name == bitaxon::* ]] || printf '%s\n' "$name"
  grep -oE '[A-Za-z_]\w*' <<<"$name" | sort -u | comm -23 - <(printf '%s\n' "$declared") |
    sed "s/.*/$name/"
done <<<"$names")
[[ -z $hidden ]] || fail "exported, but not in the public headers: $hidden"

soname=$(readelf -d -- "$library" | sed -nE 's/.*SONAME.*\[(.*)\]/\1/p')
[[ $soname =~ ^libbitaxon\.so\.[0-9]+\.[0-9]+$ ]] || fail "expected a soname, got '$soname'"
