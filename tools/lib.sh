# shellcheck shell=bash
# Functions that tools/*.sh and .ci/run share; those scripts source this file. All messages go to
# stderr: stdout belongs to the program that is run. No command here reads stdin, which may be a
# prompt.

root=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd -P)
# Settings of prepare_release. A script may change them.
build=$root/build/release
packages=(build)  # groups of packages.txt
options=()        # options for CMake in addition to those of the preset

say() { printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2; }

# quietly LOG COMMAND...: runs COMMAND with its output in LOG. On failure it shows the part of the
# output that explains the failure.
quietly() {
  local log=$1 status=0
  shift
  mkdir -p -- "$(dirname -- "$log")"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status != 0)); then
    # Ninja marks the first failed command. The lines before it are from commands that succeeded.
    if grep -q '^FAILED:' -- "$log"; then
      awk '/^FAILED:/ { failed = 1 } failed && lines++ < 100' "$log" >&2
    else
      tail -n 60 -- "$log" >&2
    fi
    say "status $status from: $* (all of its output: $log)"
  fi
  return "$status"
}

# packages_of GROUP...: prints the names in these groups of packages.txt.
packages_of() {
  awk -v groups=" $* " '
    /^# \[/ { group = $2; gsub(/[][]/, "", group); wanted = index(groups, " " group " ") }
    wanted && /^[^#]/ { print $1 }' "$root/tools/packages.txt"
}

# missing_of PACKAGE...: prints the packages that are not installed.
missing_of() {
  # dpkg-query prints a line "installed NAME" for each installed package. Its exit status only says
  # that some package is missing.
  { dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true; } |
    awk -v wanted="$*" '
      $1 == "installed" { have[$2] = 1 }
      END { n = split(wanted, names); for (i = 1; i <= n; i++) if (!have[names[i]]) print names[i] }'
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# install_packages GROUP...: installs the missing packages. If it cannot install them, the build is
# tried anyway, because the libraries may be installed in another way. The status of the build then
# decides.
install_packages() {
  local wanted missing
  mapfile -t wanted < <(packages_of "$@")
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    [[ -f $build/build.ninja ]] ||
      say "no apt-get here; needed (Debian 12 names): ${wanted[*]}; trying the build"
    return 0
  fi
  mapfile -t missing < <(missing_of "${wanted[@]}")
  if ((${#missing[@]} == 0)); then return 0; fi

  if ((EUID != 0)) && ! command -v sudo >/dev/null; then
    say "missing packages: ${missing[*]}; neither root nor sudo to install them; trying the build"
    return 0
  fi
  say "installing with apt-get: ${missing[*]}"
  # A fresh machine may still run its own updates, so wait for the lock. Ignore a failed update: an
  # unreachable repository may not be the one that has the packages.
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
  quietly "$root/build/apt-update.log" as_root "${apt[@]}" update || true
  quietly "$root/build/apt-install.log" \
    as_root "${apt[@]}" install --no-install-recommends "${missing[@]}" ||
    say "trying the build without these packages"
}

# configure_release: configures the first time, and whenever there are options. Later the build
# itself notices changes. A moved or copied tree starts afresh, because CMake refuses the cache of
# another folder.
configure_release() {
  local cache=$build/CMakeCache.txt fresh=()
  if [[ -f $cache ]]; then
    if ! grep -qxF -- "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
      fresh=(--fresh)
    elif [[ -f $build/build.ninja ]] && ((${#options[@]} == 0)); then
      return 0
    fi
  fi
  say "configuring $build"
  quietly "$root/build/configure.log" \
    cmake -S "$root" --preset release -B "$build" "${fresh[@]}" "${options[@]}"
}

# build_release TARGET...: builds these targets.
build_release() {
  say "building in $build"
  quietly "$root/build/build.log" cmake --build "$build" --target "$@"
}

# prepare_release TARGET...: installs packages, configures and builds. A lock allows one run at a
# time, because two builds of the same folder disturb each other.
prepare_release() {
  local lock
  mkdir -p -- "$root/build"
  exec {lock}>"$root/build/.lock"
  flock "$lock"
  install_packages "${packages[@]}"
  configure_release
  build_release "$@"
  exec {lock}>&-
}
