#!/usr/bin/env bash
# tools/check-sanitized.sh [-DNAME=VALUE...] [PROGRAM...]: builds with clang++, AddressSanitizer,
# UndefinedBehaviorSanitizer and warnings as errors, in build/sanitized, and runs tests. With names of
# test programs or fuzzers, it builds only these and runs the tests of these programs. Without names,
# it builds everything and runs all tests but those of the GPU's kernels, which sanitizers do not see.
# This build has no precompiled headers, so it finds every file that does not include what it uses.
# Tests named Lengthy or Exhaustive are left out. -DNAME=VALUE goes to CMake.
set -euo pipefail
source "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
cd "$root"

folder=build/sanitized
while [[ ${1-} == -D* ]]; do
  options+=("$1")
  shift
done
no_headers=OFF
(($# > 0)) || no_headers=ON
# No other build compiles the same, so ccache would only take time.
env -u CMAKE_CXX_COMPILER_LAUNCHER \
  cmake -S . -B $folder -G Ninja -D CMAKE_CXX_COMPILER=clang++ -D CMAKE_C_COMPILER=clang \
  -D CMAKE_BUILD_TYPE=RelWithDebInfo -D CMAKE_CXX_FLAGS_RELWITHDEBINFO='-O1 -gline-tables-only' \
  -D BITAXON_WERROR=ON -D BITAXON_SANITIZE=ON -D BITAXON_BUILD_FUZZERS=ON \
  -D BITAXON_WITH_VULKAN=ON -D CMAKE_DISABLE_PRECOMPILE_HEADERS=$no_headers "${options[@]}"
if (($# == 0)); then
  cmake --build $folder
  ctest --test-dir $folder --output-on-failure --parallel "$(nproc)" --label-exclude '^vulkan$'
else
  cmake --build $folder --target "$@"
  names=$(IFS='|'; echo "$*")
  ctest --test-dir $folder --output-on-failure --parallel "$(nproc)" --tests-regex "^($names)[.]"
fi
