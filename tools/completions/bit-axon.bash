# bash completion for bit-axon
_bit_axon() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local model='--model -m --tokenizer -t --config-small --config-medium --quiet --verbose --help
    --version'
  local precision='--precision --threads --shader-dir --tiles'
  local rewrite='--bits -b --group-size -g --output -o --config-small --config-medium --json --quiet
    --verbose --help --version'
  local device="--device $precision"
  local state='--save-state --load-state'
  local adapter='--adapter --lora-scale'
  local text='--quantize --context --prompt --max-tokens --temperature --top-k --top-p --min-p
    --repetition-penalty --seed --stop --run-ahead --ignore-eos --no-stream --system
    --chat-template --thinking'
  local command='' flags='' files='' word
  COMPREPLY=()

  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      run | chat | logits | compare | benchmark | template | tokenize | detokenize | inspect | devices | doctor | download | upload | \
        quantize | merge | train | pipeline | port-weights | evaluate | prepare)
        command=$word
        break
        ;;
    esac
  done

  # Complete the value of the previous flag. Bash also splits words at "=": --device=cpu is three
  # words.
  if [[ $current == '=' ]]; then
    current=''
  elif [[ $previous == '=' ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $previous in
    --sft-data)
      flags='ultrachat alpaca openorca'
      files=yes
      ;;
    --orpo-data)
      flags='ultrafeedback hh-rlhf'
      files=yes
      ;;
    --device | --a | --b) flags='auto cpu reference vulkan' ;;
    --precision) flags='exact fast' ;;
    --tiles) flags='float16 float32 matrix-64 matrix-128' ;;
    --chat-template)
      flags='chatml none'
      files=yes
      ;;
    --thinking) flags='on off' ;;
    --quantize) flags='nf4 mlx' ;;
    --quantize-bits) flags='4' ;;
    --quantize-group-size) flags='64' ;;
    --train-on) flags='assistant last all' ;;
    --mask) flags='content like-original' ;;
    --unmapped) flags='error skip' ;;
    --packing) flags='isolated concat none' ;;
    --objective) flags='sft orpo' ;;
    --orpo-penalty) flags='inside outside' ;;
    --schedule) flags='cosine linear constant' ;;
    --grad-checkpoint) flags='block off' ;;
    --dtype) flags='f32 f16 bf16' ;;
    --format)
      flags='nf4 mlx'
      if [[ $command == benchmark ]]; then flags='table markdown csv json'; fi
      if [[ $command == prepare ]]; then flags='messages alpaca orpo text'; fi
      ;;
    --to | -f) flags='messages alpaca orpo text' ;;
    --from)
      flags='auto messages sharegpt alpaca openorca completion text orpo ultrafeedback hh-rlhf'
      ;;
    --model | -m | --tokenizer | -t | --out | --save-state | --load-state | --messages | --tools | --documents | \
      --ids-file | --file | --shader-dir | --local-dir | -d | --output | -o | --adapter | -a | --base-model | --text | \
      --against | --report | --source | --corpus | --model-weights | \
      --val-data | --init-adapter | --temp-sensor | --output-dir | --config) files=yes ;;
    --threads | --prompt | --prompt-ids | --max-tokens | --temperature | --top-k | --top-p | \
      --min-p | --repetition-penalty | --seed | --stop | --run-ahead | --system | --ids | \
      --split | --tolerance | --revision | --include | --exclude | --timeout | --expert-noise | --repo-id | --commit-message | \
      --benchmark-results | \
      --bits | -b | --group-size | -g | --lora-rank | -r | --lora-scale | --seq-length | \
      --seq-lengths | -s | --batch-size | --warmup | -w | --iterations | -i | --decode-tokens | --depth | --name | --set | \
      --limit | --val-split | --max-seq-len | --grad-accum-steps | --epochs | --lora-dropout | --targets | \
      --layers | --beta | --learning-rate | --min-lr | --warmup-steps | --max-steps | \
      --weight-decay | --max-grad-norm | --save-every | --keep-last | --eval-every | \
      --eval-batches | --patience | --log-every | --temp-warm | --temp-pause | --temp-resume | \
      --temp-stop | --temp-poll | --orpo-steps | --sft-split | --sft-limit | --orpo-split | \
      --orpo-limit)
      return
      ;;
    *)
      case $command in
        '')
          flags='run chat logits compare benchmark template tokenize detokenize inspect devices doctor download upload
            quantize merge train pipeline port-weights evaluate prepare --help --version'
          ;;
        run)
          flags="$model $device $state $adapter $text --prompt-ids --messages --json --chat -c"
          ;;
        chat) flags="$model $device $state $adapter $text" ;;
        logits) flags="$model $device $state $adapter --quantize --context --ids --ids-file --split --out" ;;
        compare)
          flags="$model $precision $adapter --quantize --context --a --b --prompt --ids --ids-file --split --max-tokens
            --tolerance --json"
          ;;
        benchmark)
          flags="--model -m --preset --quantize --config-small --config-medium --quiet --verbose --help --version
            --device $precision --seq-lengths -s --batch-size --warmup -w --iterations -i
            --decode-tokens --depth --format --report --profile --train --lora-rank --no-dora"
          ;;
        template)
          flags="$model --chat-template --name --messages --tools --documents --set
            --no-generation-prompt --json"
          ;;
        tokenize) flags="$model --file --no-special --special-as-text" ;;
        detokenize) flags="$model --file --skip-special" ;;
        inspect)
          flags="$model --preset --tensors --check --json"
          [[ $current == -* ]] || files=yes
          ;;
        devices) flags='--json --help --version' ;;
        doctor) flags='--device --preset --shader-dir --tiles --quiet --verbose --json --help --version' ;;
        quantize)
          flags="$rewrite --format --double-quant"
          [[ $current == -* ]] || files=yes
          ;;
        merge)
          flags="$rewrite --base-model --adapter -a --no-re-quantize --lora-rank -r --lora-scale --dtype"
          [[ $current == -* ]] || files=yes
          ;;
        train)
          flags='--model-weights -w --tokenizer -t --config-small --config-medium --quantize --quantize-bits
            --quantize-group-size --device --precision --threads --shader-dir --tiles --val-data
            --val-split --max-seq-len --train-on --mask --unmapped --packing --no-shuffle
            --batch-size --grad-accum-steps --epochs --lora-rank --lora-dropout --lora-scale
            --no-dora --targets --layers --init-adapter --objective --beta --orpo-penalty
            --learning-rate --min-lr --schedule --warmup-steps --max-steps --weight-decay
            --bias-correction --max-grad-norm --seed --save-every --keep-last --eval-every
            --eval-batches --patience --log-every --low-memory --grad-checkpoint --no-thermal
            --temp-warm --temp-pause --temp-resume --temp-stop --temp-poll --temp-sensor
            --output-dir -o --resume --config --dry-run --json --quiet --verbose --help
            --version'
          [[ $current == -* ]] || files=yes
          ;;
        pipeline)
          flags="--output-dir -o --model -m --tokenizer -t --config-small --config-medium --sft-data --sft-split
            --sft-limit --orpo-data --orpo-split --orpo-limit --max-steps --orpo-steps --max-seq-len
            --lora-rank --batch-size --learning-rate --seed --text --prompt --repo-id -r $device
            --no-thermal --dry-run --json --quiet --verbose --help --version"
          ;;
        port-weights)
          flags='--source --config-small --config-medium --corpus --expert-noise --seed --dtype --json --quiet
            --verbose --help --version'
          [[ $current == -* ]] || files=yes
          ;;
        evaluate)
          flags="$model $device $adapter --quantize --text --max-tokens --seq-length --batch-size --carry
            --against --json"
          [[ $current == -* ]] || files=yes
          ;;
        upload)
          flags='--repo-id -r --tokenizer -t --private --commit-message -m --benchmark-results --base-model
            --timeout --json --quiet --verbose --help --version'
          [[ $current == -* ]] || files=yes
          ;;
        prepare)
          flags='--format -f --to --from --output -o --split --limit --val-split --seed --tokenizer -t
            --max-seq-len --json --quiet --verbose --help --version'
          [[ $current == -* ]] || files=yes
          ;;
        download)
          flags='--revision --include --exclude --local-dir -d --timeout --quiet --help --version'
          ;;
      esac
      ;;
  esac

  if [[ -n $files ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$current")
  fi
}
complete -F _bit_axon bit-axon
