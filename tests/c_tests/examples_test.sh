#!/usr/bin/env bash
# examples_test.sh FOLDER MODEL TEXT: runs the examples of docs/examples/c, compiled as C
# (FOLDER/c_NAME) and as C++ (FOLDER/cpp_NAME), as a user does.
set -euo pipefail
folder=$1 model=$2 text=$3
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT

fail() {
  printf 'examples_test: %s\n' "$*" >&2
  exit 1
}

# both NAME ARGUMENT...: runs both programs with the same input. Prints their output.
both() {
  local name=$1 input=${input:-} c cpp
  shift
  c=$("$folder/c_$name" "$@" <<<"$input" 2>"$scratch/err") || fail "$name: $(cat "$scratch/err")"
  cpp=$("$folder/cpp_$name" "$@" <<<"$input" 2>"$scratch/err") || fail "$name: $(cat "$scratch/err")"
  [[ $c == "$cpp" ]] || fail "$name prints '$c' as C, and '$cpp' as C++"
  printf '%s\n' "$c"
}

head -c 2000 -- "$text" >"$scratch/text"
[[ -n $(both generate "$model" "ROMEO:") ]] || fail "generate prints nothing"
[[ -n $(both step_loop "$model" "ROMEO:") ]] || fail "step_loop prints nothing"
[[ $(both perplexity "$model" "$scratch/text") =~ ^perplexity\ [0-9.]+\ \+-\ [0-9.]+,\ [0-9]+\ tokens$ ]] ||
  fail "perplexity prints something else"
answers=$(input=$'Hello\nWho are you?' both chat "$model" 20)
[[ $(grep -c '^> ' <<<"$answers") == 3 ]] || fail "expected two answers, got '$answers'"

# A failure is one line that names the thing.
for name in generate chat perplexity step_loop; do
  status=0
  message=$("$folder/c_$name" 2>&1) || status=$?
  [[ $status == 2 && $message == "usage: $name "* ]] || fail "$name: no usage: $message"
done
status=0
message=$("$folder/c_generate" /nonexistent "a" 2>&1) || status=$?
[[ $status == 1 && $message == "IO: model /nonexistent: expected "* ]] || fail "got: $message"

# interrupt_an_answer: sends Ctrl-C while the chat answers. The chat must go on. Returns 1 if the
# answer was complete before.
interrupt_an_answer() {
  local chat status=0
  rm -f "$scratch/in" "$scratch/out"
  mkfifo "$scratch/in"
  "$folder/c_chat" "$model" 100000 <"$scratch/in" >"$scratch/out" 2>"$scratch/err" &
  chat=$!
  exec 3>"$scratch/in"
  echo "Hello" >&3
  until (($(stat -c %s "$scratch/out") > 20)); do
    kill -0 "$chat" 2>/dev/null || fail "chat: $(cat "$scratch/err")"
    sleep 0.01
  done
  kill -INT "$chat"
  exec 3>&-
  wait "$chat" || status=$?
  ((status != 130)) || return 1
  ((status == 0)) || fail "chat: status $status: $(cat "$scratch/err")"
  # The end of the input ends the chat behind the next prompt.
  [[ $(tail -n 1 "$scratch/out") == "> " ]] || fail "no prompt after Ctrl-C"
}

for _ in {1..20}; do
  if interrupt_an_answer; then exit 0; fi
done
fail "every answer was complete before Ctrl-C came"
