#!/usr/bin/env bash
# tools/package.sh [--with-tests] [--uncompressed] [--output DIR] [--build DIR]: installs missing
# packages, builds in build/package, makes a tarball and prints its path. The program in the tarball
# runs on any x86-64 Linux whose glibc is at least as new as this system's: 2.36 for a package made on
# Debian 12, 2.41 for one made on Debian 13. The shaders for matrix units are compiled in a Debian 13,
# which debootstrap makes in build/roots/drivers-trixie; without root or debootstrap they are left out.
# --with-tests adds the tests and benchmarks. --uncompressed makes a plain .tar, a minute sooner with
# tests. --output says where the tarball goes (default: build/package). --build packages an existing
# release build.
set -euo pipefail
source "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
source "$root/tools/bundle.sh"
source "$root/tools/debian_root.sh"

# bundle_libraries: copies the libraries of the programs to lib/. Libraries that the system may have
# in a newer version go to lib/cxx/.
bundle_libraries() {
  local name path folder needed
  needed=$(for program in "${programs[@]}"; do libraries_of "$program" || exit; done | sort -u)
  while read -r name path; do
    is_bundled "$name" || continue
    [[ -f $path ]] || fail "$name is needed, but it is not found"
    case $name in
      libstdc++.so.* | libgcc_s.so.*) folder=lib/cxx ;;
      *) folder=lib ;;
    esac
    install -D -m 644 -- "$path" "$stage/$folder/$name"
    bundled+=("$path")
  done <<<"$needed"
}

# check_versions: fails if a file needs a newer version of a system library than the package allows.
check_versions() {
  local file version kind number
  while read -r file; do
    while read -r version; do
      kind=${version%%_*} number=${version#*_}
      # A version without a number appeared together with a numbered one, which is checked.
      [[ $number =~ ^[0-9.]+$ ]] || continue
      [[ -v newest[$kind] ]] || continue
      if [[ $(printf '%s\n' "$number" "${newest[$kind]}" | sort -V | tail -n 1) != "${newest[$kind]}" ]]; then
        fail "${file#"$stage"/} needs $version, which is newer than ${newest[$kind]}"
      fi
    done < <(objdump -p "$file" |
      awk '/^[A-Z]/ { wanted = /^Version References/ } wanted && $1 ~ /^0x/ { print $NF }')
  done < <(elves_of "$stage")
}

# check_search: fails if the loader does not find a bundled library in the package. The loader does
# not search lib/ for a library that only another library needs, so the program itself must need it.
check_search() {
  local program name path needed
  for program in "${programs[@]}"; do
    needed=$(libraries_of "$program")
    while read -r name path; do
      is_bundled "$name" || continue
      if [[ -e $stage/lib/$name && $(realpath -- "$path") != "$stage/lib/$name" ]]; then
        fail "${program#"$stage"/} loads $path in place of lib/$name"
      fi
    done <<<"$needed"
  done
}

# check_places: fails if a file contains the path of the sources or of the build.
check_places() {
  local found
  if found=$(LC_ALL=C grep -rlaP -e "(?<![\\w./])(\\Q$root\\E|\\Q$build\\E)/" -- "$stage"); then
    fail "these files contain the path of the sources or of the build: $found"
  fi
}

with_tests=false compressed=true output='' given=''
while (($# > 0)); do
  case $1 in
    --with-tests) with_tests=true ;;
    --uncompressed) compressed=false ;;
    --output | --build)
      (($# > 1)) || fail "$1 needs a folder"
      if [[ $1 == --output ]]; then output=$2; else given=$2; fi
      shift
      ;;
    -h | --help)
      sed -n '2,/^set/{s/^# //p}' "$0"
      exit 0
      ;;
    *) fail "unknown argument $1; --help lists the arguments" ;;
  esac
  shift
done

[[ $(uname -sm) == "Linux x86_64" ]] || fail "expected an x86-64 Linux system, got $(uname -sm)"
# The newest library versions that the package may need. libstdc++ and libgcc_s are listed because
# the system's own may be used.
case $(getconf GNU_LIBC_VERSION) in
  "glibc 2.36") declare -A newest=([GLIBC]=2.36 [GLIBCXX]=3.4.30 [CXXABI]=1.3.13 [GCC]=12.0.0) ;;
  "glibc 2.41") declare -A newest=([GLIBC]=2.41 [GLIBCXX]=3.4.33 [CXXABI]=1.3.15 [GCC]=14.0.0) ;;
  *) fail "expected Debian 12 (glibc 2.36) or 13 (glibc 2.41), got $(getconf GNU_LIBC_VERSION)" ;;
esac
targets=(bit-axon) components=(program) bench=OFF suffix=''
if $with_tests; then
  packages+=(bench) targets=(all) components+=(tests) bench=ON suffix=-with-tests
fi
if [[ -n $given ]]; then
  build=$(realpath -e -- "$given")
else
  build=$root/build/package
  options=(-D "BITAXON_BUILD_BENCH=$bench")
  compiler=$(matrix_glslc)
  [[ -z $compiler ]] || options+=(-D "BITAXON_MATRIX_GLSLC=$compiler")
  prepare_release "${targets[@]}"
fi
cache=$build/CMakeCache.txt
for option in BITAXON_PORTABLE:BOOL=ON CMAKE_BUILD_TYPE:STRING=Release; do
  grep -qx "$option" "$cache" || fail "$cache: expected $option; configure with --preset release"
done

name=bit-axon-$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$cache")-linux-x86_64
output=${output:-$build}
mkdir -p -- "$output"
output=$(realpath -- "$output")
# Every test program contains the whole library. A compression window that spans two programs finds
# the repetition.
ending=.gz pack=(gzip -9n)
if $with_tests; then ending=.xz pack=(xz "--lzma2=preset=3,dict=64MiB"); fi
$compressed || ending='' pack=(cat)
tarball=$output/$name$suffix.tar$ending
scratch=$(mktemp -d -- "$output/.package.XXXXXX")
trap 'rm -rf -- "$scratch"' EXIT
stage=$scratch/$name
for component in "${components[@]}"; do
  quietly "$build/install-$component.log" \
    cmake --install "$build" --prefix "$stage" --component "$component" --strip
done

mapfile -t programs < <(elves_of "$stage")
bundled=()
bundle_libraries
copy_licences "$stage/share/doc/bit-axon/licences" "${bundled[@]}"
check_versions
check_search
check_places

# The same build gives the same tarball, for any file order, owner, umask and clock of this system.
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null ||
  stat -c %Y -- "$root/CMakeLists.txt")}
tar -C "$scratch" --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" \
  --mode=u+rwX,go+rX,go-w -cf - -- "$name" | "${pack[@]}" >"$scratch/tarball"
mv -f -- "$scratch/tarball" "$tarball"
say "$(du -h --apparent-size -- "$tarball" | cut -f1), $(find "$stage" -type f | wc -l) files"
printf '%s\n' "$tarball"
