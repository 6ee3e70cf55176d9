#!/usr/bin/env bash
# tools/test.sh [--all] [CTEST ARGS...]: installs missing packages, builds, and runs the tests. The
# long tests, whose names contain Exhaustive, run only with --all.
set -euo pipefail
source "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

brief=(--exclude-regex Exhaustive)
if [[ ${1-} == --all ]]; then
  brief=()
  shift
fi
prepare_release all
exec ctest --test-dir "$build" --output-on-failure --parallel "$(nproc)" "${brief[@]}" "$@"
