# shellcheck shell=bash
# Functions for files that contain the libraries they need; tools/package.sh and tools/wheel.sh
# source this file after tools/lib.sh.

fail() {
  say "$*"
  exit 1
}

# is_bundled NAME: whether this library goes into the package. The others belong to glibc and must
# match the glibc of the system.
is_bundled() {
  case $1 in
    linux-vdso.so.* | ld-linux-x86-64.so.*) return 1 ;;
    libc.so.* | libm.so.* | libdl.so.* | librt.so.* | libpthread.so.* | libresolv.so.*) return 1 ;;
  esac
}

# elves_of FOLDER: prints the ELF files (programs and libraries) below FOLDER.
elves_of() {
  find "$1" -type f -print0 | while IFS= read -r -d '' file; do
    if [[ $(head -c 4 -- "$file" | tr -d '\0') == $'\x7fELF' ]]; then printf '%s\n' "$file"; fi
  done
}

# libraries_of PROGRAM: prints a line "NAME PATH" for each library that is loaded with it.
libraries_of() {
  local listed
  listed=$(ldd "$1") || fail "ldd $1: ${listed:-it fails}"
  awk '$2 == "=>" { print $1, $3 == "not" ? "not-found" : $3 }' <<<"$listed"
}

# copy_licences FOLDER LIBRARY...: copies the licenses of these libraries to FOLDER, and of every
# package whose headers or archives may be compiled in (better too many licenses than too few;
# spirv-tools has archives). It also copies the texts that these licenses refer to.
copy_licences() {
  local package path text licences=$1
  shift
  local -a owners compiled_in
  command -v dpkg-query >/dev/null || fail "needs dpkg-query to find the licences of the libraries"
  # Search by the file's name alone: /lib is a link to /usr/lib, and dpkg knows only one of the two
  # paths.
  mapfile -t owners < <(
    for path; do
      dpkg-query -S "*x86_64-linux-gnu/$(basename -- "$(realpath -- "$path")")"
    done | cut -d: -f1 | sort -u
  )
  # shellcheck disable=SC2154  # tools/lib.sh sets packages
  mapfile -t compiled_in < <(packages_of "${packages[@]}" | grep -E -- '-dev$|^spirv-tools$')
  for package in "${owners[@]}" "${compiled_in[@]}"; do
    [[ -f /usr/share/doc/$package/copyright ]] || fail "/usr/share/doc/$package/copyright is missing"
    install -D -m 644 -- "/usr/share/doc/$package/copyright" "$licences/$package"
  done
  grep -rhoE '/usr/share/common-licenses/[A-Za-z0-9.-]*[A-Za-z0-9]' "$licences" | sort -u |
    while read -r text; do
      if [[ -f $text ]]; then
        install -D -m 644 -- "$text" "$licences/common-licenses/$(basename -- "$text")"
      fi
    done
}
