#!/usr/bin/env bash
# report_test.sh SOURCE_DIR: tests the script tests/report with programs that stand in for those of a
# package: what it accepts, what it hides, how long it takes, what it says of a part that fails or does
# not end, and what it keeps on a signal. package_test.sh runs it with the real programs.
set -euo pipefail
source=$1
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
mkdir -p -- "$scratch/the home/package/bin" "$scratch/the home/package/tests"
home="$scratch/the home" package="$scratch/the home/package"
page="$scratch/page.md"
cp -- "$source/tests/report.sh" "$package/tests/report"
chmod +x "$package/tests/report"

fail() {
  printf 'report_test: %s\n' "$*" >&2
  exit 1
}

# A program that acts as the file `act` says: well, failing, or deaf to SIGTERM.
cat >"$package/bin/bit-axon" <<'END'
#!/bin/sh
here=$(dirname -- "$0")
echo "$*" >>"$here/calls"
act=$(cat "$here/act")
case $1 in
  --version) echo "bit-axon 1.2.3" ;;
  devices)
    cat <<'JSON'
[
  {
    "driver": "Some 1.2",
    "pci_address": "0000:65:00.0",
    "uuid": "0123abcd-0000-0000-0000-00000000beef"
  }
]
JSON
    ;;
  doctor)
    if [ "$act" = slow ]; then
      trap 'echo "the parts that are done"; exit 130' TERM
      sleep 60 &
      wait
    fi
    if [ "$act" = deaf ]; then
      trap '' TERM
      sleep 60
    fi
    if [ "$act" = failing ]; then
      echo "$HOME/secret and $BITAXON_TEST_TREE: no such file" >&2
      exit 1
    fi
    echo '{"is_right": true}'
    ;;
  benchmark) echo "measured $*" ;;
esac
END
cat >"$package/tests/vulkan_tests" <<'END'
#!/bin/sh
echo "cases of $*"
if [ "$(cat "$(dirname -- "$0")/../bin/act")" = long ]; then exec sleep 60; fi
END
cat >"$scratch/llama-bench" <<'END'
#!/bin/sh
echo "ggml_vulkan: 0 = Some Card" >&2
echo "llama $* on ${GGML_VK_VISIBLE_DEVICES-any}" | sed "s|/.*/|FOLDER/|"
END
chmod +x "$package/bin/bit-axon" "$package/tests/vulkan_tests" "$scratch/llama-bench"
: >"$scratch/model.gguf"

# report STATUS ACT OPTION...: runs the script, which must end with the status.
report() {
  local wanted=$1 status=0
  echo "$2" >"$package/bin/act"
  shift 2
  rm -f -- "$page" "$package/bin/calls"
  env -i PATH=/usr/bin:/bin HOME="$home" "$package/tests/report" "$@" >"$scratch/out" 2>"$scratch/err" ||
    status=$?
  ((status == wanted)) || fail "$*: expected status $wanted, got $status: $(<"$scratch/err")"
}
has() { [[ $(<"$1") == *"$2"* ]] || fail "expected '$2' in $1, got: $(<"$1")"; }
lacks() { [[ $(<"$1") != *"$2"* ]] || fail "expected no '$2' in $1, got: $(<"$1")"; }

echo "== arguments"
report 0 well --help
has "$scratch/out" "--llama-bench PROGRAM"
[[ ! -s $scratch/err ]] || fail "--help wrote to stderr: $(<"$scratch/err")"
for bad in "--seconds 0" "--seconds 00" "--seconds x" "--seconds 1234567" "--seconds" "--device cpu" \
  "--nothing" "a b" "--llama-bench $scratch/llama-bench" "--llama-model $scratch/model.gguf"; do
  # shellcheck disable=SC2086
  report 2 well $bad
  (($(wc -l <"$scratch/err") == 1)) || fail "$bad: expected one line, got: $(<"$scratch/err")"
done
for selector in 1 vulkan:1; do
  report 0 well --seconds 08 --device "$selector" "$page"
  has "$package/bin/calls" "doctor --device vulkan:1 "
  has "$page" "# Report on vulkan:1"
done

echo "== what is private"
report 0 well "$page"
has "$page" '"driver": "Some 1.2"'
has "$page" '"uuid": "hidden"'
has "$page" '"pci_address": "hidden",'
has "$page" "left out: expected --llama-bench"
(($(grep -c '^## ' "$page") == 7)) || fail "expected seven parts: $(<"$page")"
has "$page" "cases of --gtest_brief=1 --gtest_filter=*Golden*-*Exhaustive*"
report 0 well --device vulkan:0123abcd-0000-0000-0000-00000000beef "$page"
lacks "$page" beef
report 1 failing "$page"
has "$page" "failed with status 1"
has "$page" "/secret and tests/tree: no such file"
lacks "$page" "$scratch"

echo "== a part that takes too long"
report 3 slow --seconds 12 "$page"
has "$page" "stopped after 3 s"
has "$page" "the parts that are done"
report 3 long --seconds 12 "$page"
has "$page" "stopped after 2 s"
has "$page" "cases of --gtest_brief=1 --gtest_filter=EveryMode/*"
began=$(date +%s)
report 3 deaf --seconds 12 "$page"
has "$page" "stopped after 3 s"
(($(date +%s) - began <= 12)) || fail "a deaf program made the report late"
[[ ! -e $page.partial ]] || fail "the partial page was not removed"

echo "== a signal"
for signal in INT:130 TERM:143 HUP:129; do
  echo slow >"$package/bin/act"
  rm -f -- "$page" "$package/bin/calls"
  # A shell starts a program in the background with SIGINT ignored.
  env -i --default-signal=INT,HUP PATH=/usr/bin:/bin HOME="$home" "$package/tests/report" "$page" \
    >"$scratch/out" 2>"$scratch/err" &
  report=$!
  for ((i = 0; i < 300; ++i)); do
    if [[ -e $package/bin/calls ]] && grep -q '^doctor ' "$package/bin/calls"; then break; fi
    sleep 0.1
  done
  # doctor notes its call just before it is ready for a signal.
  sleep 1
  kill -s "${signal%:*}" "$report"
  status=0
  wait "$report" || status=$?
  ((status == ${signal#*:})) || fail "$signal: got status $status: $(<"$scratch/err")"
  has "$page" "**Interrupted by SIG${signal%:*} after "
  has "$page" "## Devices"
  has "$page" "the parts that are done"
  lacks "$page" "## Cases of every op"
  (($(grep -c '^```$' "$page") == 4)) || fail "expected two blocks: $(<"$page")"
  left=("$page".*)
  [[ ! -e ${left[0]} ]] || fail "$signal: ${left[*]} was not removed"
done

echo "== llama.cpp"
report 0 well --llama-bench "$scratch/llama-bench" --llama-model "$scratch/model.gguf" --device 3 "$page"
(($(grep -c '^llama -m .* -p 512 -n 64 .* on 3$' "$page") == 2)) || fail "expected two runs: $(<"$page")"
has "$page" "ggml_vulkan: 0 = Some Card"
lacks "$page" "left out"
order=$(grep '^## Speed' "$page" | tr '\n' ';')
[[ $order == *"Qwen3 0.6B;## Speed of llama.cpp;"*"Qwen3 0.6B, again;## Speed of llama.cpp, again;" ]] ||
  fail "expected turns, got $order"
