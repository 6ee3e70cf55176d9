#!/bin/sh
# run [PROGRAM...]: runs the named test programs of a package, or all of them, and prints a summary.
# The output of each program goes to a log. If a program fails, the end of its log is printed.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 1
export BITAXON_TEST_TREE="$here/tree" BITAXON_TEST_PROGRAM="$here/../bin/bit-axon"
logs=$(mktemp -d) || exit 1
failed=''

if [ $# -eq 0 ]; then
  for program in "$here"/*_tests; do set -- "$@" "${program##*/}"; done
  if ! "$BITAXON_TEST_PROGRAM" devices 2>/dev/null | grep -q 'vulkan:'; then
    echo "vulkan_tests: left out, there is no Vulkan device"
    left_out=vulkan_tests
  fi
fi

for name in "$@"; do
  if [ "$name" = "${left_out-}" ]; then continue; fi
  if "$here/$name" >"$logs/$name" 2>&1; then
    echo "$name: $(grep -F '[  PASSED  ]' "$logs/$name" | cut -c 14-)"
  else
    echo "$name: failed with status $?"
    tail -n 40 "$logs/$name"
    failed="$failed $name"
  fi
done
if [ -n "$failed" ]; then
  echo "failed:$failed; logs are in $logs"
  exit 1
fi
rm -r -- "$logs"
echo "all passed"
