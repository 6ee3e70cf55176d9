#!/usr/bin/env bash
# tools/test.sh [CTEST ARGS...]: installs what is missing, builds, and runs the tests.
set -euo pipefail
source "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

prepare_release all
exec ctest --test-dir "$build" --output-on-failure --parallel "$(nproc)" "$@"
