#!/usr/bin/env bash
# exported_symbols_test.sh LIBRARY INCLUDE_DIR: checks that a shared library exports exactly what
# its public headers declare, and that the C functions keep their names, their versions, and, where
# abidiff is installed, their types. After an intended change of the C functions, edit
# c_functions.txt, and write c_functions.abi again with --write in front of the arguments.
set -euo pipefail
write=no
if [[ $1 == --write ]]; then write=yes && shift; fi
library=$1 headers=$(readlink -f -- "$2")
here=$(dirname -- "$(readlink -f -- "$0")")
listed=$here/c_functions.txt

fail() {
  printf 'exported_symbols_test: %s\n' "$*" >&2
  exit 1
}

# The C functions, each with its version node. The symbols of type A are the nodes themselves.
exported=$(nm -D --defined-only -- "$library" | awk '$2 != "A" { print $3 }' |
  grep '^bitaxon_' | LC_ALL=C sort)
diff -- "$listed" - <<<"$exported" ||
  fail "the C functions of the library (>) are not those of ${listed##*/} (<)"
declared=$(grep -ohE '\bbitaxon_[a-z_]+\(' -- "$headers"/c/bitaxon.h | tr -d '(' |
  grep -vE '^bitaxon_[a-z]+_fn$' | LC_ALL=C sort -u)
diff <(sed 's/@@.*//' "$listed" | LC_ALL=C sort -u) - <<<"$declared" ||
  fail "${listed##*/} (<) and bitaxon.h (>) have different functions"

# The types: a library with a pointer to each function has the types of all functions in its debug
# information.
if [[ $(uname -m) == x86_64 ]] && command -v abidw >/dev/null && command -v abidiff >/dev/null; then
  scratch=$(mktemp -d)
  trap 'rm -rf -- "$scratch"' EXIT
  {
    echo '#include <bitaxon/c/bitaxon.h>'
    sed -E 's/@@.*//; s/(.*)/__typeof__(\1) *pointer_to_\1 = \&\1;/' "$listed"
  } >"$scratch/types.c"
  (cd "$scratch" && gcc -std=gnu99 -g -shared -fPIC -I"$headers/.." types.c -o libtypes.so)
  if [[ $write == yes ]]; then
    abidw --no-corpus-path --no-comp-dir-path --no-show-locs --out-file "$here/c_functions.abi" \
      "$scratch/libtypes.so"
  fi
  abidiff --no-show-locs "$here/c_functions.abi" "$scratch/libtypes.so" ||
    fail "the types of the C functions have changed"
fi

symbols=$(nm -DC --defined-only -- "$library" | awk '$2 != "A"' | cut -d ' ' -f 3- |
  grep -v '^bitaxon_')
for expected in 'bitaxon::open_session(' 'bitaxon::generate(' 'bitaxon::State::~State(' \
  'bitaxon::linear(' 'typeinfo for bitaxon::Error' 'typeinfo for bitaxon::OutOfMemory'; do
  grep -qF -- "$expected" <<<"$symbols" || fail "$expected... is not exported"
done
! grep -v '@@BITAXON_CXX$' <<<"$symbols" || fail "the names above are not in the node of C++"

# A symbol counts as public if every part of its qualified name occurs in the headers.
declared=$(cat -- "$headers"/*.h | grep -oE '[A-Za-z_]\w*' | sort -u)
names=$(sed -E 's/@@BITAXON_CXX$//; s/^(typeinfo for|typeinfo name for|vtable for|non-virtual thunk to) //; s/\(.*//; s/\[abi:.*//' \
  <<<"$symbols" | sort -u)
hidden=$(while read -r name; do
  [[ $name == bitaxon::* ]] || printf '%s\n' "$name"
  grep -oE '[A-Za-z_]\w*' <<<"$name" | sort -u | comm -23 - <(printf '%s\n' "$declared") |
    sed "s/.*/$name/"
done <<<"$names")
[[ -z $hidden ]] || fail "exported, but not in the public headers: $hidden"

soname=$(readelf -d -- "$library" | sed -nE 's/.*SONAME.*\[(.*)\]/\1/p')
[[ $soname =~ ^libbitaxon\.so\.[0-9]+$ ]] || fail "expected a soname, got '$soname'"
