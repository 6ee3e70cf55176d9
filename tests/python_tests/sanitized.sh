#!/usr/bin/env bash
# tests/python_tests/sanitized.sh [PYTEST ARGS...]: builds the extension module of the Python package
# with AddressSanitizer and UndefinedBehaviorSanitizer, in build/python-sanitized or in the folder
# BITAXON_SANITIZED_BUILD, and runs the Python tests with it, without those of an installed package.
# The current Python needs nanobind and what requirements.txt lists. The interpreter itself is not
# sanitized: it must load the run-time library first, and its own leaks are not reported.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd -P)
build=${BITAXON_SANITIZED_BUILD:-$root/build/python-sanitized}
python=$(python -c 'import sys; print(sys.executable)')
cmake -S "$root" -B "$build" -G Ninja -D CMAKE_CXX_COMPILER=clang++ -D CMAKE_BUILD_TYPE=RelWithDebInfo \
  -D CMAKE_CXX_FLAGS_RELWITHDEBINFO='-O1 -gline-tables-only' -D BITAXON_SANITIZE=ON \
  -D BITAXON_BUILD_PYTHON=ON -D "Python_EXECUTABLE=$python" \
  -D "nanobind_DIR=$("$python" -m nanobind --cmake_dir)"
cmake --build "$build" --target _engine bit-axon bit-axon-probe

# The package as a wheel has it.
package=$build/package
rm -rf -- "$package"
cp -r -- "$root/python/bit_axon" "$package.new"
cmake --install "$build" --prefix "$package.new" --component python
mkdir -- "$package"
mv -- "$package.new" "$package/bit_axon"
# These programs contain the run-time library, so they must not load it again.
for program in "$package"/bit_axon/{bin/bit-axon,libexec/bit-axon-probe}; do
  mv -- "$program" "$program.sanitized"
  # shellcheck disable=SC2016  # the new script expands these
  printf '#!/bin/sh\nexec env -u LD_PRELOAD "$0.sanitized" "$@"\n' >"$program"
  chmod +x -- "$program"
done

runtime=$(clang++ -print-file-name=libclang_rt.asan-x86_64.so)
cd -- "$root"
PYTHONPATH=$package LD_PRELOAD=$runtime PYTHONMALLOC=malloc \
  ASAN_OPTIONS=detect_leaks=0:handle_segv=1 UBSAN_OPTIONS=print_stacktrace=1 \
  "$python" -m pytest -q -p no:cacheprovider --ignore tests/python_tests/test_package.py "$@"
