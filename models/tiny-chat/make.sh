#!/usr/bin/env bash
# models/tiny-chat/make.sh [--write] [PROGRAM]: makes tiny-chat from tiny-shakespeare and chat.jsonl
# with the program bit-axon (default: that of build/release), in about five minutes on two cores. Says
# whether the result equals model.safetensors. With --write the result replaces it.
set -euo pipefail

here=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
base=$here/../tiny-shakespeare
write=no
if [[ ${1-} == --write ]]; then
  write=yes
  shift
fi
program=${1-$here/../../build/release/bit-axon}

scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT

"$program" train "$here/chat.jsonl" --model-weights "$base" --device cpu --precision fast \
  --no-dora --lora-rank 64 --lora-scale 2 --lora-dropout 0 \
  --packing isolated --max-seq-len 288 --batch-size 1 --grad-accum-steps 1 \
  --max-steps 4500 --warmup-steps 50 --learning-rate 2e-3 --weight-decay 0.01 --bias-correction \
  --save-every 4500 --seed 1 --no-thermal --output-dir "$scratch/run"
"$program" merge "$base" --adapter "$scratch/run/final_adapter.safetensors" --output "$scratch/model" --quiet >"$scratch/merge.log"

made=$scratch/model/model.safetensors
if cmp -s -- "$made" "$here/model.safetensors"; then
  echo "the same bytes as $here/model.safetensors"
elif [[ $write == yes ]]; then
  install -m 644 -- "$scratch/model/"{config.json,tokenizer.json,model.safetensors} "$here"
  echo "written: $here/model.safetensors"
else
  echo "make.sh: the result differs from $here/model.safetensors" >&2
  exit 1
fi
