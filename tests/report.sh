#!/bin/sh
# report: examines a GPU with the programs of this package, and writes one page: doctor, tests of the
# Vulkan backend, benchmarks. For a rented machine, or for somebody who asks how this program does on a
# card. `report --help` lists the options. A part that takes longer than its share of the time is
# stopped, and the page says so. On a signal, the page has the parts up to then. Nothing private is in
# the page: no UUID or PCI address of a device, no home folder, and no folder of this package.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 1

usage() {
  cat <<'END'
usage: report [--device SEL] [--seconds N] [--llama-bench PROGRAM --llama-model GGUF] [FILE]

Examines a GPU within N seconds and writes a page of Markdown. On SIGINT, SIGTERM or SIGHUP, which
arrives when a connection breaks, the page has the parts up to then.

  FILE                   the page (bit-axon-report.md)
  --device SEL           the Vulkan device, as --device of bit-axon: vulkan:1, or only 1 (0)
  --seconds N            the most time for everything (600)
  --llama-bench PROGRAM  llama.cpp's llama-bench, built with Vulkan: measures a model of the shape of
                         Qwen3 0.6B in turn with this program
  --llama-model GGUF     that model

Exit status:
  0    all parts ran to their end, and all results are right
  1    a result was wrong, or a program failed
  2    the command line is wrong
  3    nothing failed, but a part was stopped because its share of the time was over
  130, 143, 129    interrupted by SIGINT, SIGTERM or SIGHUP
END
}
refuse() {
  echo "report: $1" >&2
  exit 2
}

device=0 seconds=600 file='' llama='' llama_model=''
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h)
      usage
      exit 0
      ;;
    --device | --seconds | --llama-bench | --llama-model)
      [ $# -gt 1 ] || refuse "$1: expected a value"
      case $1 in
        --device) device=$2 ;;
        --seconds) seconds=$2 ;;
        --llama-bench) llama=$2 ;;
        --llama-model) llama_model=$2 ;;
      esac
      shift
      ;;
    -*) refuse "expected --device, --seconds, --llama-bench, --llama-model or --help, got \"$1\"" ;;
    *)
      [ -z "$file" ] || refuse "expected one file, got \"$file\" and \"$1\""
      file=$1
      ;;
  esac
  shift
done
device=${device#vulkan:}
case $device in
  '' | auto | cpu | reference | vulkan)
    refuse "--device: expected a Vulkan device, such as vulkan:0, got \"$device\""
    ;;
esac
# Numbers with leading zeros are octal to the shell.
digits=$seconds
while [ "${digits#0}" != "$digits" ]; do digits=${digits#0}; done
case $digits in
  '' | *[!0-9]* | ??????*)
    refuse "--seconds: expected a whole number from 1 to 99999, got \"$seconds\""
    ;;
esac
seconds=$digits
if [ -n "$llama$llama_model" ]; then
  [ -n "$llama" ] || refuse "--llama-model: expected --llama-bench with it"
  [ -n "$llama_model" ] || refuse "--llama-bench: expected --llama-model with it"
  if [ ! -f "$llama" ] || [ ! -x "$llama" ]; then
    refuse "--llama-bench: expected the path of a program, got \"$llama\""
  fi
  [ -f "$llama_model" ] || refuse "--llama-model: expected a file, got \"$llama_model\""
fi

file=${file:-bit-axon-report.md}
part=$file.partial
: >"$part" || exit 1
child='' title=''
trap 'rm -f -- "$part" "$part.out" "$part.err" "$part.section"' EXIT
trap 'interrupt INT 130' INT
trap 'interrupt TERM 143' TERM
trap 'interrupt HUP 129' HUP

export BITAXON_TEST_TREE="$here/tree" BITAXON_TEST_PROGRAM="$here/../bin/bit-axon"
export BX_TEST_DEVICE="$device"
program=$BITAXON_TEST_PROGRAM
failed=0 stopped=0

# A selector of digits, colons and the like may be a UUID or a PCI address.
case $device in
  *[!0-9A-Fa-f:.-]*) secret='' ;;
  ????????*) secret=$device ;;
  *) secret='' ;;
esac

# Copies stdin to stdout without what is private.
hide() {
  REPORT_SECRET=$secret REPORT_TESTS=$here REPORT_PACKAGE=${here%/*} \
    REPORT_LLAMA=$llama REPORT_MODEL=$llama_model awk '
      function replaced(text, from, to,    at, done) {
        if (from == "" || from == "/") return text
        done = ""
        while ((at = index(text, from)) > 0) {
          done = done substr(text, 1, at - 1) to
          text = substr(text, at + length(from))
        }
        return done text
      }
      {
        line = $0
        if (line ~ /^ *"(uuid|pci_address)": "/) sub(/: ".*"/, ": \"hidden\"", line)
        line = replaced(line, ENVIRON["REPORT_SECRET"], "SEL")
        line = replaced(line, ENVIRON["REPORT_LLAMA"], "llama-bench")
        line = replaced(line, ENVIRON["REPORT_MODEL"], "GGUF")
        line = replaced(line, ENVIRON["REPORT_TESTS"], "tests")
        line = replaced(line, ENVIRON["REPORT_PACKAGE"], "PACKAGE")
        print replaced(line, ENVIRON["HOME"], "~")
      }'
}

# A program that does not end when it is asked to is killed after this time. All shares together leave
# room for that.
patience=5
start=$(date +%s)
end=$((start + seconds))

# Adds the part `title` with its outcome to the page.
add_section() {
  {
    printf '\n## %s\n\n%s, %d s\n\n```\n' "$title" "$outcome" "$(($(date +%s) - began))"
    hide <"$part.out"
    # llama-bench names the device there.
    grep '^ggml_vulkan: [0-9]' "$part.err"
    if [ "$outcome" != passed ]; then tail -n 40 "$part.err" | hide; fi
    printf '```\n'
  } >"$part.section"
  cat "$part.section" >>"$part"
  title=''
}

# interrupt NAME STATUS: ends the report with the parts that are done and what the present one has
# printed.
interrupt() {
  trap '' INT TERM HUP
  if [ -n "$title" ]; then
    # doctor then prints the parts that it has done. A program that does not end is killed by `timeout`.
    if [ -n "$child" ]; then
      kill "$child"
      wait "$child"
    fi
    outcome=interrupted
    add_section
  fi
  printf '\n**Interrupted by SIG%s after %d s. The parts that would follow are missing.**\n' "$1" \
    "$(($(date +%s) - start))" >>"$part"
  mv -- "$part" "$file" || exit 1
  echo "report: interrupted by SIG$1: $file has the parts up to then" >&2
  exit "$2"
}

# run SHARE TITLE COMMAND...: runs a part for at most SHARE percent of the time, and adds what it prints
# to the page. Sets `outcome`.
run() {
  limit=$((seconds * $1 / 100)) name=$2
  shift 2
  left=$((end - patience - $(date +%s)))
  if [ "$limit" -gt "$left" ]; then limit=$left; fi
  if [ "$limit" -lt 1 ]; then limit=1; fi
  echo "report: $name, at most $limit s" >&2
  began=$(date +%s)
  status=0
  : >"$part.out" && : >"$part.err" || exit 1
  title=$name
  # In the background, so that a signal ends the wait at once.
  timeout -k "$patience" "$limit" "$@" >"$part.out" 2>"$part.err" &
  child=$!
  wait "$child" || status=$?
  child=''
  case $status in
    0) outcome=passed ;;
    124 | 137)
      outcome="stopped after $limit s"
      stopped=1
      ;;
    *)
      outcome="failed with status $status"
      failed=1
      ;;
  esac
  add_section
}

qwen3() {
  run "$1" "$2" "$program" benchmark --device "vulkan:$device" --preset qwen3-0.6b --quantize mlx \
    --seq-lengths 512 --decode-tokens 64 --iterations 3 --format markdown
}

# llama.cpp counts Vulkan devices as this program does. Without a number, it takes its own choice.
case $device in
  *[!0-9]*) ;;
  *) export GGML_VK_VISIBLE_DEVICES="$device" ;;
esac
llama_bench() {
  run "$1" "$2" "$llama" -m "$llama_model" -ngl 99 -p 512 -n 64 -r 3 -o md
}

{
  echo "# Report on vulkan:$device" | hide
  echo
  "$program" --version | head -n 1
  echo
  echo "$(date -u +%Y-%m-%dT%H:%MZ), $(uname -srm), $(getconf _NPROCESSORS_ONLN) CPUs"
} >>"$part"
run 2 "Devices" "$program" devices --json
run 32 "Doctor" "$program" doctor --device "vulkan:$device" --json
run 22 "Cases of every op" "$here/vulkan_tests" --gtest_brief=1 --gtest_filter='EveryMode/*'
run 12 "Recorded models" "$here/vulkan_tests" --gtest_brief=1 --gtest_filter='*Golden*-*Exhaustive*'
run 12 "Speed in the default shape" "$program" benchmark --device "vulkan:$device" \
  --seq-lengths 512 --decode-tokens 64 --iterations 3 --profile --format markdown
if [ -n "$llama" ]; then
  # In turn, so that a disturbance of the machine shows.
  qwen3 5 "Speed in the shape of Qwen3 0.6B"
  llama_bench 3 "Speed of llama.cpp"
  qwen3 5 "Speed in the shape of Qwen3 0.6B, again"
  llama_bench 3 "Speed of llama.cpp, again"
else
  qwen3 12 "Speed in the shape of Qwen3 0.6B"
  printf '\n## Speed of llama.cpp\n\nleft out: expected --llama-bench and --llama-model\n' >>"$part"
fi
mv -- "$part" "$file" || exit 1
echo "report: $file" >&2
if [ "$failed" -ne 0 ]; then exit 1; fi
if [ "$stopped" -ne 0 ]; then exit 3; fi
