#!/usr/bin/env bash
# moved_tree_test.sh CMAKE CXX SOURCE_DIR BUILD_DIR: installs the project and moves the installed
# tree. Then uses the tree as a user does: with find_package, with pkg-config, and as a program.
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

shared=no
! grep -qx 'BUILD_SHARED_LIBS:BOOL=ON' "$build/CMakeCache.txt" || shared=yes

for file in include/bitaxon/model.h include/bitaxon/c/bitaxon.h share/bit-axon/models/tiny-shakespeare/model.safetensors \
  share/bit-axon/models/tiny-chat/chat_template.jinja share/doc/bit-axon/LICENSE; do
  [[ -f $moved/$file ]] || fail "$file is not installed"
done
if grep -rlaF -e "$source" -e "$build" -e "$scratch/installed" -- "$moved"; then
  fail "the files above contain the path of the sources, of the build, or of the first prefix"
fi

if [[ $shared == yes ]]; then
  library=$(find "$moved" -name "libbitaxon.so.*.*.*")
  [[ -f $library && -z $(find "$moved" -name "libbitaxon.a") ]] || fail "expected a shared library"
  # This variable lets programs find the library if they are not built by CMake.
  LD_LIBRARY_PATH=$(dirname -- "$library")
  export LD_LIBRARY_PATH
fi

# Nothing in the installed tree may depend on the current folder.
cd /

echo "== the program that docs/library.md shows"
awk '/^```cpp$/ { on = 1; next } /^```$/ { if (on) exit } on' "$source/docs/library.md" |
  diff - <(tail -n +2 "$source/tests/install_tests/twenty_lines.cpp") ||
  fail "docs/library.md shows another program than twenty_lines.cpp"

echo "== find_package"
"$cmake" -S "$source/tests/install_tests/consumer" -B "$scratch/consumer" -G Ninja \
  -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_PREFIX_PATH="$moved" >"$scratch/consumer.log"
grep -q "^bit-axon_DIR:PATH=$moved/" "$scratch/consumer/CMakeCache.txt" ||
  fail "find_package found another tree"
"$cmake" --build "$scratch/consumer" >>"$scratch/consumer.log"
by_cmake=$("$scratch/consumer/twenty_lines")
printf '%s\n' "$by_cmake"

echo "== pkg-config"
pkg_config_path=$(dirname -- "$(find "$moved" -name bit-axon.pc)")
# pkg-config quotes its output for the shell, because the name of the folder has spaces.
eval "flags=($(PKG_CONFIG_PATH=$pkg_config_path pkg-config --cflags --libs bit-axon))"
models=$(PKG_CONFIG_PATH=$pkg_config_path pkg-config --variable=modelsdir bit-axon)
eval "models=$models"
"$cxx" -std=c++20 -DMODELS_DIR="\"$models\"" "$source/tests/install_tests/twenty_lines.cpp" \
  "${flags[@]}" -o "$scratch/twenty_lines"
by_pkg_config=$("$scratch/twenty_lines")
printf '%s\n' "$by_pkg_config"

echo "== a program in C, with pkg-config"
cc -std=c99 -pedantic -Wall -Wextra -Werror "$source/docs/examples/c/generate.c" "${flags[@]}" \
  -o "$scratch/generate"
in_c=$("$scratch/generate" "$models/tiny-shakespeare" "ROMEO:")
printf '%s\n' "$in_c"
[[ -n $in_c ]] || fail "the program in C prints nothing"

if grep -qx 'BITAXON_WITH_VULKAN:BOOL=ON' "$build/CMakeCache.txt"; then
  echo "== the program that tries drivers"
  eval "probe=$(PKG_CONFIG_PATH=$pkg_config_path pkg-config --variable=probe bit-axon)"
  # shellcheck disable=SC2154
  [[ $("$probe" | tail -n 1) == "done" ]] || fail "$probe does not work"
fi

[[ -n $by_cmake ]] || fail "no tokens"
for program in "$scratch/consumer/twenty_lines" "$scratch/twenty_lines"; do
  status=0
  message=$("$program" /nonexistent 2>&1) || status=$?
  [[ $status == 1 && $message == "model /nonexistent: expected "* ]] ||
    fail "expected an Error of the library, got status $status and: $message"
  needed=$(readelf -d "$program" | grep -c 'NEEDED.*libbitaxon\.so\.') || true
  [[ $shared == no || $needed == 1 ]] || fail "$program does not use the shared library"
done
[[ $by_cmake == "$by_pkg_config" ]] || fail "the two builds print different tokens"

if [[ -e $build/bit-axon ]]; then
  echo "== the program"
  warnings=$("$moved/bin/bit-axon" devices 2>&1 >/dev/null)
  [[ -z $warnings ]] || fail "devices: $warnings"
  by_program=$("$moved/bin/bit-axon" run --quiet --temperature 0 --max-tokens 5 "ROMEO:")
  printf '%s\n' "$by_program"
  [[ $by_program == "$by_cmake" ]] || fail "the program prints other tokens than the library"
  answer=$("$moved/bin/bit-axon" chat --quiet --temperature 0 "Hello" </dev/null)
  printf '%s\n' "$answer"
  [[ $answer == *tiny-chat* ]] || fail "chat: expected an answer of tiny-chat, got: $answer"
fi
