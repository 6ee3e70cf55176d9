#!/usr/bin/env bash
# package_test.sh SOURCE_DIR BUILD_DIR: makes a package of the build. Runs the program of the
# package with an empty environment, and in a root folder that holds nothing else.
set -euo pipefail
source=$1 build=$2
scratch=$build/package_test
prompt=(run --quiet --temperature 0 --max-tokens 5 "ROMEO:")

fail() {
  printf 'package_test: %s\n' "$*" >&2
  exit 1
}

# same WHAT TEXT: fails unless TEXT equals the text that the program of this build gives. WHAT names
# the source of TEXT.
same() {
  [[ $2 == "$expected" ]] || fail "$1: expected '$expected', got '$2'"
  printf '%s: %s\n' "$1" "$2"
}

rm -rf -- "$scratch"
mkdir -p -- "$scratch/again" "$scratch/plain" "$scratch/with tests"
cd -- "$scratch"
expected=$("$build/bit-axon" "${prompt[@]}" --device cpu)

echo "== the tarball"
package=("$source/tools/package.sh" --build "$build")
plain=$("${package[@]}" --output "$scratch")
again=$(umask 077 && "${package[@]}" --output "$scratch/again")
cmp -- "$plain" "$again" || fail "packaging twice gave two different tarballs"
tar -C "$scratch/plain" -xf "$plain"
# The package must work in a folder with another name. The new name has a space.
mv -- "$scratch"/plain/* "$scratch/plain/the package"
tree="$scratch/plain/the package"
for file in lib/cxx/libstdc++.so.6 lib/cxx/libgcc_s.so.1 share/doc/bit-axon/LICENSE \
  share/doc/bit-axon/licences/libstdc++6; do
  [[ -s $tree/$file ]] || fail "$file is missing"
done
[[ -z $(find "$tree/lib" -name "libc.so*" -o -name "libm.so*" -o -name "libvulkan*") ]] ||
  fail "the package has libraries that the system must provide"
[[ ! -e $tree/tests ]] || fail "the package has tests without --with-tests"

echo "== with an empty environment"
env -i "$tree/bin/bit-axon" --version
env -i XDG_CACHE_HOME="$scratch/cache" "$tree/bin/bit-axon" devices >"$scratch/devices" 2>"$scratch/warnings"
[[ ! -s $scratch/warnings ]] || fail "devices: $(<"$scratch/warnings")"
[[ -s $scratch/cache/bit-axon/vulkan-drivers.json ]] || fail "the drivers were not tried"
same "cpu" "$(env -i "$tree/bin/bit-axon" "${prompt[@]}" --device cpu)"
ldd "$tree/bin/bit-axon" >"$scratch/libraries"
grep -q 'libstdc++.so.6 => /usr/lib' "$scratch/libraries" ||
  fail "the package does not use the libstdc++ of the system"
if grep -q 'llvmpipe' "$scratch/devices"; then
  # This driver was built for the system's libraries. It must also work with the libraries of the
  # package.
  same "vulkan" "$(env -i "$tree/bin/bit-axon" "${prompt[@]}" --device vulkan:llvmpipe)"
fi

echo "== in an empty root folder"
root="$scratch/root"
mkdir -p -- "$root/lib64" "$root/lib/x86_64-linux-gnu" "$root/proc"
# Every system with glibc has the loader and these libraries. The loader searches the folder into
# which they are copied.
cp -L -- /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
while read -r name path; do
  case $name in
    libc.so.* | libm.so.*) cp -L -- "$path" "$root/lib/x86_64-linux-gnu/" ;;
  esac
done < <(ldd "$build/bit-axon" | awk '{ print $1, $3 }')
cp -r -- "$tree" "$root/package"

# enter COMMAND...: runs the command in the root folder. The loader takes the path of the program
# from /proc, or from LD_ORIGIN_PATH if there is no /proc.
chroot=$(PATH=$PATH:/usr/sbin:/sbin command -v chroot)
in_namespace() {
  # shellcheck disable=SC2016
  unshare --map-root-user --mount sh -c 'mount --rbind /proc "$0/proc" && exec env -i "$@"' \
    "$root" "$chroot" "$root" "$@"
}
in_folder() { env -i LD_ORIGIN_PATH=/package/bin "$chroot" "$root" "$@"; }
with_own_libraries() {
  env -i LD_LIBRARY_PATH="$tree/lib/cxx" "$tree/${1#/package/}" "${@:2}"
}
enter=with_own_libraries model=$tree/share/bit-axon/models/tiny-shakespeare
for way in in_folder in_namespace; do
  if "$way" /package/bin/bit-axon --version >"$scratch/$way" 2>&1; then
    enter=$way model=/package/share/bit-axon/models/tiny-shakespeare
  fi
done
if [[ $enter == with_own_libraries ]]; then
  grep -q "not permitted" "$scratch/in_folder" || fail "$(<"$scratch/in_folder")"
  echo "this machine does not allow another root folder; testing only with the package's libstdc++"
else
  listed=$("$enter" /lib64/ld-linux-x86-64.so.2 --list /package/bin/bit-axon)
  [[ $listed == *"/package/"*"/lib/cxx/libstdc++.so.6 "* ]] || fail "expected the package's libstdc++, got: $listed"
fi
if [[ $enter != in_folder ]]; then
  same "$enter, bundled model" "$("$enter" /package/bin/bit-axon "${prompt[@]}" --device cpu)"
fi
same "$enter" "$("$enter" /package/bin/bit-axon "${prompt[@]}" --device cpu --model "$model")"
"$enter" /package/bin/bit-axon devices >"$scratch/devices_inside"
grep -q '^cpu' "$scratch/devices_inside" ||
  fail "expected a device cpu, got: $(<"$scratch/devices_inside")"

echo "== with tests"
with_tests=$("${package[@]}" --with-tests --output "$scratch")
# Every test program contains the library with its shaders.
(($(stat -c %s -- "$with_tests") < 60 << 20)) || fail "$with_tests: expected less than 60 MiB"
tar -C "$scratch/with tests" -xf "$with_tests"
env -i PATH=/usr/bin:/bin "$scratch/with tests"/*/tests/run core_tests format_tests tokenizer_tests
# With little time, most parts of the report are stopped, but the report is complete. Status 3 says
# that parts were stopped.
report="$scratch/the report.md" status=0
env -i PATH=/usr/bin:/bin HOME="$scratch" "$scratch/with tests"/*/tests/report --seconds 20 "$report" ||
  status=$?
((status == 0 || status == 1 || status == 3)) || fail "expected a report, got status $status"
(($(grep -c '^## ' "$report") == 7)) || fail "expected seven parts in the report: $(<"$report")"
[[ $(<"$report") != *"$scratch"* ]] || fail "the report names a folder"
if grep -E '"(uuid|pci_address)": ' "$report" | grep -v '"hidden"'; then
  fail "the report names a device's identity"
fi
rm -rf -- "$scratch"
