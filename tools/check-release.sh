#!/usr/bin/env bash
# tools/check-release.sh RELEASE [CTEST ARGS...]: runs the README's two commands on a bare Debian
# RELEASE (bookworm, trixie, ...), as a newcomer would. The system is a folder made by debootstrap,
# build/roots/RELEASE, and is kept, so that the next run need not install the packages again. The last
# commit is cloned into it and built from nothing. Needs root, debootstrap, and a mirror of Debian; BITAXON_DEBIAN_MIRROR
# names one.
set -euo pipefail
source "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

usage() { say "usage: tools/check-release.sh RELEASE [CTEST ARGS...]"; exit 2; }
[[ ${1-} =~ ^[a-z]+$ ]] || usage
release=$1
shift
((EUID == 0)) || { say "needs root: debootstrap and chroot do"; exit 1; }
for needed in debootstrap git unshare; do
  command -v "$needed" >/dev/null || { say "$needed is missing; apt-get install it"; exit 1; }
done

system=$root/build/roots/$release
inside=/root/bit-axon

# make_system: under a temporary name, because debootstrap does not continue what was interrupted.
make_system() {
  local partial=$system.partial
  rm -rf -- "$partial"
  say "making a bare Debian $release in $system"
  quietly "$root/build/debootstrap-$release.log" \
    debootstrap "$release" "$partial" ${BITAXON_DEBIAN_MIRROR:+"$BITAXON_DEBIAN_MIRROR"}
  mv -- "$partial" "$system"
}
[[ -d $system ]] || make_system

rm -rf -- "${system:?}$inside"
git clone -q --no-hardlinks -- "$root" "$system$inside"
say "commit $(git -C "$root" log -1 --format='%h %s')"

# A warning of a compiler or of CMake is a failure. Each command writes its logs anew.
commands='
set -euo pipefail
mount -t proc proc /proc
mount -t sysfs -o ro sysfs /sys
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
export HOME=/root DEBIAN_FRONTEND=noninteractive
cd '$inside'
no_warnings() { if grep -nE "warning:|CMake Warning" build/*.log; then return 1; fi }
tools/run.sh --seed 1 --max-tokens 60 "ROMEO:" && no_warnings
tools/test.sh "$@" && no_warnings'
# Namespaces of its own: what is mounted is gone with the last process.
unshare --mount --pid --fork -- chroot "$system" /bin/bash -c "$commands" check-release "$@"
say "Debian $release: both commands passed"
