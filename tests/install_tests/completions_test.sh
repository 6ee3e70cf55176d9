#!/usr/bin/env bash
# completions_test.sh PROGRAM SOURCE_DIR: checks that the shell completions offer exactly the
# commands and long flags that the help of the program lists.
set -euo pipefail
program=$1 completions=$2/tools/completions
# shellcheck source=../../tools/completions/bit-axon.bash
source "$completions/bit-axon.bash"
status=0

complain() {
  printf '%s\n' "$*"
  status=1
}

# flags_of [COMMAND]: prints the long flags that begin a line in the help of the command.
flags_of() {
  "$program" "$@" --help | grep -oE '^ +(-[A-Za-z],)?--[a-z][a-z-]*(,--[a-z][a-z-]*)*' |
    grep -oE -- '--[a-z][a-z-]*' | sort -u
}

# offered WORD...: prints the commands and long flags that bash offers after these words.
offered() {
  COMP_WORDS=(bit-axon "$@" --)
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _bit_axon
  printf '%s\n' "${COMPREPLY[@]}" | sort -u
}

COMP_WORDS=(bit-axon '')
COMP_CWORD=1
_bit_axon
commands=()
for word in "${COMPREPLY[@]}"; do
  [[ $word == -* ]] || commands+=("$word")
done
listed=$("$program" --help | sed -n '/^Subcommands:/,$p' | grep -oE '^  [a-z][a-z-]*' | tr -d ' ' | sort)
if [[ $listed != "$(printf '%s\n' "${commands[@]}" | sort)" ]]; then
  complain "commands of the program: $listed; of the completions: ${commands[*]}"
fi

general=$(flags_of)
for command in "${commands[@]}"; do
  flags=$(flags_of "$command")
  while read -r flag; do
    complain "bash: $command $flag is not offered"
  done < <(comm -23 <(printf '%s\n' "$flags") <(offered "$command"))
  while read -r flag; do
    complain "bash: $command $flag is offered, but is not in the help"
  done < <(comm -13 <(printf '%s\n' "$flags" "$general" | sort -u) <(offered "$command"))
  for flag in $flags; do
    grep -qE -- "${flag}[[,}]" "$completions/_bit-axon" || complain "zsh: $flag is missing"
    grep -qE -- " -l ${flag#--} " "$completions/bit-axon.fish" || complain "fish: $flag is missing"
  done
  grep -q "'$command:" "$completions/_bit-axon" || complain "zsh: $command is missing"
  grep -q -- "-a $command " "$completions/bit-axon.fish" || complain "fish: $command is missing"
done
exit "$status"
