#!/bin/sh
# report [--device SEL] [--seconds N] [FILE]: examines a GPU with the programs of this package, within
# N seconds (600), and writes one report: doctor, tests of the Vulkan backend, benchmarks. For a rented
# machine, or for somebody who asks how this program does on a card. SEL is what follows "vulkan:" in
# --device (0). FILE is a page of Markdown (bit-axon-report.md); nothing private is in it. A part that
# takes longer than its share of the time is stopped, and the report says so. Exit status: 0, or 1 if a
# result was wrong or a program failed.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 1
usage() { echo "usage: report [--device SEL] [--seconds N] [FILE]" >&2; exit 2; }

device=0 seconds=600 file=
while [ $# -gt 0 ]; do
  case $1 in
    --device | --seconds)
      [ $# -gt 1 ] || usage
      if [ "$1" = --device ]; then device=$2; else seconds=$2; fi
      shift
      ;;
    -*) usage ;;
    *)
      [ -z "$file" ] || usage
      file=$1
      ;;
  esac
  shift
done
case $seconds in '' | *[!0-9]* | 0) echo "report: --seconds: expected a whole number > 0, got \"$seconds\"" >&2; exit 2 ;; esac
file=${file:-bit-axon-report.md}
part=$file.partial
: >"$part" || exit 1
trap 'rm -f -- "$part" "$part.out" "$part.err"' EXIT
trap 'exit 130' INT TERM

export BITAXON_TEST_TREE="$here/tree" BITAXON_TEST_PROGRAM="$here/../bin/bit-axon"
export BX_TEST_DEVICE="$device"
program=$BITAXON_TEST_PROGRAM
failed=0

# run SHARE TITLE COMMAND...: runs a part for at most SHARE percent of the time, and adds what it prints
# to the report.
run() {
  limit=$((seconds * $1 / 100)) title=$2
  shift 2
  echo "report: $title, at most $limit s" >&2
  began=$(date +%s)
  status=0
  timeout -k 10 "$limit" "$@" >"$part.out" 2>"$part.err" || status=$?
  took=$(($(date +%s) - began))
  case $status in
    0) outcome=passed ;;
    124 | 137) outcome="stopped after $limit s" ;;
    *)
      outcome="failed with status $status"
      failed=1
      ;;
  esac
  {
    printf '\n## %s\n\n%s, %d s\n\n```\n' "$title" "$outcome" "$took"
    cat "$part.out"
    if [ "$status" -ne 0 ]; then tail -n 40 "$part.err"; fi
    printf '```\n'
  } >>"$part"
}

{
  echo "# Report on vulkan:$device"
  echo
  "$program" --version | head -n 1
  echo
  echo "$(date -u +%Y-%m-%dT%H:%MZ), $(uname -srm), $(getconf _NPROCESSORS_ONLN) CPUs"
} >>"$part"
run 3 "Devices" "$program" devices --json
run 27 "Doctor" "$program" doctor --device "vulkan:$device" --json
run 30 "Cases of every op" "$here/vulkan_tests" --gtest_brief=1 --gtest_filter='EveryMode/*'
run 20 "Speed in the default shape" "$program" benchmark --device "vulkan:$device" \
  --seq-lengths 512 --decode-tokens 64 --iterations 3 --profile --format markdown
run 20 "Speed in the shape of Qwen3 0.6B" "$program" benchmark --device "vulkan:$device" \
  --preset qwen3-0.6b --quantize mlx --seq-lengths 512 --decode-tokens 64 --iterations 3 \
  --format markdown
mv -- "$part" "$file" || exit 1
echo "report: $file" >&2
exit "$failed"
