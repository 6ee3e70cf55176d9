# bash completion for tools/kernel_report
_kernel_report() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  case $previous in
    --family | --code) mapfile -t COMPREPLY < <(compgen -W 'polaris10 vega10 navi21 gfx1100' -- "$current") ;;
    --preset)
      mapfile -t COMPREPLY < <(compgen -W 'small medium default bit-axon qwen3-0.6b qwen3-4b
        falcon-mamba-7b jamba-3b' -- "$current")
      ;;
    --quantize) mapfile -t COMPREPLY < <(compgen -W 'mlx nf4 none' -- "$current") ;;
    --device | --budgets) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    --shader-dir) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    *)
      mapfile -t COMPREPLY < <(compgen -W '--family --filter --brief --quick --shader-dir --jobs --check
        --budgets --as-budgets --launches --device --code --preset --quantize --prefill --depth --json --help' \
        -- "$current")
      ;;
  esac
}
complete -o filenames -F _kernel_report kernel_report tools/kernel_report
