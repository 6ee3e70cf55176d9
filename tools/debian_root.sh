# shellcheck shell=bash
# Functions that make and use a Debian system in a folder. Scripts source this file after tools/lib.sh,
# which sets $root.
# shellcheck disable=SC2154

root_options=(--variant=minbase)  # options for debootstrap

# mirror_of_host: prints the package source of this system, or the one that BITAXON_DEBIAN_MIRROR
# names.
mirror_of_host() {
  local mirror=${BITAXON_DEBIAN_MIRROR:-}
  if [[ -z $mirror ]]; then
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
      awk '/^URIs:/ { print $2 }
        /^deb / { for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) print $i }' |
      grep -v security | head -n 1 || true)
  fi
  if [[ -z $mirror ]]; then
    say "no package source in /etc/apt; name one in BITAXON_DEBIAN_MIRROR"
    return 1
  fi
  printf '%s\n' "$mirror"
}

# make_root RELEASE FOLDER [PACKAGE...]: makes FOLDER a Debian RELEASE, if it is not there, and
# installs the packages that are missing in it. The folder first has a temporary name, because
# debootstrap cannot continue an interrupted run.
make_root() {
  local release=$1 folder=$2 partial=$2.partial needed mirror missing
  shift 2
  ((EUID == 0)) || { say "needs root for debootstrap and chroot"; return 1; }
  for needed in debootstrap unshare; do
    command -v "$needed" >/dev/null || { say "$needed is missing; apt-get install it"; return 1; }
  done
  if [[ ! -d $folder ]]; then
    mirror=$(mirror_of_host) || return
    say "making a bare Debian $release in $folder"
    rm -rf -- "$partial"
    mkdir -p -- "$(dirname -- "$folder")"
    quietly "$root/build/debootstrap-$release.log" \
      debootstrap "${root_options[@]}" "$release" "$partial" "$mirror" || return
    # The settings of apt on this system, such as a proxy, also serve the new one.
    cp -n -- /etc/apt/apt.conf.d/* "$partial/etc/apt/apt.conf.d/"
    mv -- "$partial" "$folder"
  fi
  (($# > 0)) || return 0
  cp -- /etc/resolv.conf "$folder/etc/resolv.conf"
  # shellcheck disable=SC2016
  missing=$(in_root "$folder" 'for name; do
    dpkg-query -W -f "\${db:Status-Status}" "$name" 2>/dev/null | grep -qx installed || echo "$name"
  done' "$@") || return
  [[ -n $missing ]] || return 0
  say "installing in $folder: ${missing//$'\n'/ }"
  # shellcheck disable=SC2016
  quietly "$root/build/packages-$release.log" in_root "$folder" 'export DEBIAN_FRONTEND=noninteractive
    apt-get -q update && apt-get -q -y install --no-install-recommends "$@"' "$@"
}

# in_root FOLDER COMMANDS [ARG...]: runs commands of bash in the system of a folder. They have mounts
# and processes of their own, which disappear with the last process.
in_root() {
  local folder=$1 commands=$2
  shift 2
  unshare --mount --pid --fork -- chroot "$folder" /bin/bash -c "set -euo pipefail
mount -t proc proc /proc
mount -t sysfs -o ro sysfs /sys
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
export HOME=/root
$commands" in_root "$@"
}

# matrix_glslc: prints the path of a glslc that compiles the shaders for matrix units. That of Debian 12
# is too old, so this function installs one in the Debian 13 of tests/drivers/run. Without root or
# debootstrap it prints nothing.
matrix_glslc() {
  local system=$root/build/roots/drivers-trixie script=$root/build/matrix-glslc
  if [[ $(getconf GNU_LIBC_VERSION) != "glibc 2.36" ]]; then
    command -v glslc || true
    return 0
  fi
  if [[ ! -d $system ]] && { ((EUID != 0)) || ! command -v debootstrap >/dev/null; }; then
    say "without shaders for matrix units: a Debian 13 in $system needs root and debootstrap"
    return 0
  fi
  make_root trixie "$system" glslc || return
  cat >"$script.partial" <<END
#!/bin/sh
exec "$system/lib64/ld-linux-x86-64.so.2" --library-path "$system/usr/lib/x86_64-linux-gnu" \
  "$system/usr/bin/glslc" "\$@"
END
  chmod +x "$script.partial"
  mv -- "$script.partial" "$script"
  printf '%s\n' "$script"
}
