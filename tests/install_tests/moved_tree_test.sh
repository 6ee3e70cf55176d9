#!/usr/bin/env bash
# moved_tree_test.sh CMAKE CXX SOURCE_DIR BUILD_DIR: installs the project, moves the installed tree,
# and uses it in the same ways as a user: with find_package, with pkg-config, and as a program.
set -euo pipefail
cmake=$1 cxx=$2 source=$3 build=$4
flags=()
scratch=$build/install_tests
moved="$scratch/moved to here"

fail() {
  printf 'moved_tree_test: %s\n' "$*" >&2
  exit 1
}

rm -rf -- "$scratch"
mkdir -p -- "$scratch"
"$cmake" --install "$build" --prefix "$scratch/installed" >"$scratch/install.log"
mv -- "$scratch/installed" "$moved"

for file in include/bitaxon/model.h share/bit-axon/models/tiny-shakespeare/model.safetensors \
  share/doc/bit-axon/LICENSE; do
  [[ -f $moved/$file ]] || fail "$file is not installed"
done
if grep -rlaF -e "$source" -e "$build" -e "$scratch/installed" -- "$moved"; then
  fail "the files above contain the path of the sources, of the build, or of the first prefix"
fi

# Nothing may depend on the current folder.
cd /

echo "== find_package"
"$cmake" -S "$source/tests/install_tests/consumer" -B "$scratch/consumer" -G Ninja \
  -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_PREFIX_PATH="$moved" >"$scratch/consumer.log"
grep -q "^bit-axon_DIR:PATH=$moved/" "$scratch/consumer/CMakeCache.txt" ||
  fail "find_package found another tree"
"$cmake" --build "$scratch/consumer" >>"$scratch/consumer.log"
by_cmake=$("$scratch/consumer/five_tokens")
printf '%s\n' "$by_cmake"

echo "== pkg-config"
pkg_config_path=$(dirname -- "$(find "$moved" -name bit-axon.pc)")
# pkg-config quotes for the shell: the folder has spaces in its name.
eval "flags=($(PKG_CONFIG_PATH=$pkg_config_path pkg-config --cflags --libs bit-axon))"
models=$(PKG_CONFIG_PATH=$pkg_config_path pkg-config --variable=modelsdir bit-axon)
eval "models=$models"
"$cxx" -std=c++20 -DMODELS_DIR="\"$models\"" "$source/tests/install_tests/five_tokens.cpp" \
  "${flags[@]}" -o "$scratch/five_tokens"
by_pkg_config=$("$scratch/five_tokens")
printf '%s\n' "$by_pkg_config"

if grep -qx 'BITAXON_WITH_VULKAN:BOOL=ON' "$build/CMakeCache.txt"; then
  echo "== the program that tries drivers"
  eval "probe=$(PKG_CONFIG_PATH=$pkg_config_path pkg-config --variable=probe bit-axon)"
  # shellcheck disable=SC2154
  [[ $("$probe" | tail -n 1) == "done" ]] || fail "$probe does not work"
fi

[[ -n $by_cmake ]] || fail "no tokens"
[[ $by_cmake == "$by_pkg_config" ]] || fail "the two builds print different tokens"

if [[ -e $build/bit-axon ]]; then
  echo "== the program"
  warnings=$("$moved/bin/bit-axon" devices 2>&1 >/dev/null)
  [[ -z $warnings ]] || fail "devices: $warnings"
  by_program=$("$moved/bin/bit-axon" run --quiet --temperature 0 --max-tokens 5 "ROMEO:")
  printf '%s\n' "$by_program"
  [[ $by_program == "$by_cmake" ]] || fail "the program prints other tokens than the library"
fi
