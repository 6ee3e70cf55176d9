#!/usr/bin/env bash
# tools/check-release.sh RELEASE [CTEST ARGS...]: runs tools/run.sh and tools/test.sh on a bare
# Debian RELEASE (bookworm, trixie, ...). debootstrap makes the system in the folder
# build/roots/RELEASE. The folder is kept, so that the next run does not install the packages again.
# The script clones the last commit into the folder and builds it from scratch. It needs root,
# debootstrap and a Debian mirror, which BITAXON_DEBIAN_MIRROR may name.
set -euo pipefail
source "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"

usage() { say "usage: tools/check-release.sh RELEASE [CTEST ARGS...]"; exit 2; }
[[ ${1-} =~ ^[a-z]+$ ]] || usage
release=$1
shift
((EUID == 0)) || { say "needs root for debootstrap and chroot"; exit 1; }
for needed in debootstrap git unshare; do
  command -v "$needed" >/dev/null || { say "$needed is missing; apt-get install it"; exit 1; }
done

system=$root/build/roots/$release
inside=/root/bit-axon

# make_system: makes the folder under a temporary name, because debootstrap cannot continue an
# interrupted run.
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

# A warning of a compiler or of CMake is a failure. Each command overwrites its logs.
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
# The commands run in their own namespaces, so that the mounts disappear with the last process.
unshare --mount --pid --fork -- chroot "$system" /bin/bash -c "$commands" check-release "$@"
say "Debian $release: both commands passed"
