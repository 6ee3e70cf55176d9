#!/usr/bin/env bash
# tools/fuzz.sh [SECONDS [SEED]]: runs each fuzzer in build/sanitized for SECONDS (60), two at a time,
# from the committed seeds. With SEED, every run tries the same inputs, as far as it gets. New inputs,
# and an input that crashes a fuzzer, go to build/sanitized/fuzz. tools/check-sanitized.sh builds the
# fuzzers.
set -euo pipefail
source "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
cd "$root"

export seconds=${1:-60} seed=${2:-0} folder=build/sanitized  # libFuzzer takes 0 as a random seed

fuzz() {
  local scratch=$folder/fuzz/$1 found
  found=$scratch/found
  rm -rf "$found"
  mkdir -p "$found"
  if ! "$folder/tests/fuzz/$1" -max_total_time="$seconds" -seed="$seed" -print_final_stats=1 \
    -artifact_prefix="$scratch/" "$found" "tests/fuzz/corpus/$1" >"$scratch/log" 2>&1; then
    tail -n 60 "$scratch/log"
    echo "$1 failed; see $scratch"
    return 1
  fi
  echo "$1: $(grep -o 'number_of_executed_units.*' "$scratch/log")"
}
export -f fuzz

names=()
for source in tests/fuzz/fuzz_*.cpp; do names+=("$(basename "$source" .cpp)"); done
((${#names[@]} > 0)) || { say "no fuzzers in tests/fuzz"; exit 1; }
# shellcheck disable=SC2016  # the new shell expands $1
printf '%s\0' "${names[@]}" | xargs -0 -n 1 -P 2 bash -c 'fuzz "$1"' fuzz
