#!/usr/bin/env bash
# tools/check-release.sh RELEASE [CTEST ARGS...]: runs tools/run.sh and tools/test.sh on a bare
# Debian RELEASE (bookworm, trixie, ...). debootstrap makes the system in the folder
# build/roots/RELEASE. The folder is kept, so that the next run does not install the packages again.
# The script clones the last commit into the folder and builds it from scratch. It needs root
# and debootstrap. The packages come from the package source of this system, or from the one that
# BITAXON_DEBIAN_MIRROR names.
set -euo pipefail
source "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
source "$root/tools/debian_root.sh"

usage() { say "usage: tools/check-release.sh RELEASE [CTEST ARGS...]"; exit 2; }
[[ ${1-} =~ ^[a-z]+$ ]] || usage
release=$1
shift

system=$root/build/roots/$release
inside=/root/bit-axon
# shellcheck disable=SC2034  # make_root reads it
root_options=()  # a bare system, as its installer makes it
make_root "$release" "$system"

rm -rf -- "${system:?}$inside"
git clone -q --no-hardlinks -- "$root" "$system$inside"
say "commit $(git -C "$root" log -1 --format='%h %s')"

# A warning of a compiler or of CMake is a failure. Each command overwrites its logs.
in_root "$system" '
export DEBIAN_FRONTEND=noninteractive
cd '$inside'
no_warnings() { if grep -nE "warning:|CMake Warning" build/*.log; then return 1; fi }
tools/run.sh --seed 1 --max-tokens 60 "ROMEO:" && no_warnings
tools/test.sh "$@" && no_warnings' "$@"
say "Debian $release: both commands passed"
