#!/usr/bin/env bash
# tools/run.sh ARGS...: installs missing packages, builds, and runs `bit-axon run ARGS...`.
set -euo pipefail
source "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

prepare_release bit-axon
exec "$build/bit-axon" run "$@"
