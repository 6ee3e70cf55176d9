# fish completion for bit-axon
set -l commands run logits compare tokenize detokenize inspect devices
set -l with_model '__fish_seen_subcommand_from run logits compare tokenize detokenize inspect'
set -l with_device '__fish_seen_subcommand_from run logits'
set -l with_precision '__fish_seen_subcommand_from run logits compare'

complete -c bit-axon -f
complete -c bit-axon -l help -d 'Explain the program or the command'
complete -c bit-axon -l version -d 'Print the version'

set -l first "not __fish_seen_subcommand_from $commands"
complete -c bit-axon -n "$first" -a run -d 'Generate text'
complete -c bit-axon -n "$first" -a logits -d 'Write the logits of ids'
complete -c bit-axon -n "$first" -a compare -d 'Compare two devices'
complete -c bit-axon -n "$first" -a tokenize -d 'Text to ids'
complete -c bit-axon -n "$first" -a detokenize -d 'Ids to text'
complete -c bit-axon -n "$first" -a inspect -d 'Describe a model'
complete -c bit-axon -n "$first" -a devices -d 'List the devices'

complete -c bit-axon -n "$with_model" -s m -l model -rF -d 'Directory, safetensors file or hub id'
complete -c bit-axon -n "$with_model" -s t -l tokenizer -rF -d 'Tokenizer file'
complete -c bit-axon -n "$with_model" -l config-small -d 'The small preset with random weights'
complete -c bit-axon -n "$with_model" -l config-medium -d 'The medium preset with random weights'
complete -c bit-axon -n "$with_model" -l quiet -d 'Say nothing but errors'
complete -c bit-axon -n "$with_model" -l verbose -d 'Say more'

complete -c bit-axon -n "$with_device" -l device -x -a 'auto cpu reference vulkan' -d 'What computes'
complete -c bit-axon -n "$with_precision" -l precision -x -a 'exact fast' -d 'How exactly'
complete -c bit-axon -n "$with_precision" -l threads -x -d 'Threads of the CPU'
complete -c bit-axon -n "$with_precision" -l shader-dir -rF -d 'Compile the shaders in this folder'
complete -c bit-axon -n "$with_device" -l save-state -rF -d 'Write the state afterwards'
complete -c bit-axon -n "$with_device" -l load-state -rF -d 'Begin with a saved state'

set -l run '__fish_seen_subcommand_from run'
complete -c bit-axon -n "$run" -l prompt -x -d 'The prompt'
complete -c bit-axon -n "$run" -l prompt-ids -x -d 'The prompt as ids'
complete -c bit-axon -n "$run" -l messages -rF -d 'The prompt as a JSON list of chat messages'
complete -c bit-axon -n "$run" -l max-tokens -x -d 'Longest answer'
complete -c bit-axon -n "$run" -l temperature -x -d '0 for the most probable token'
complete -c bit-axon -n "$run" -l top-k -x -d 'Choose among so many'
complete -c bit-axon -n "$run" -l top-p -x -d 'Choose among this probability'
complete -c bit-axon -n "$run" -l min-p -x -d 'Least probability beside the largest'
complete -c bit-axon -n "$run" -l repetition-penalty -x -d '1 for none'
complete -c bit-axon -n "$run" -l seed -x -d 'Of the random draws'
complete -c bit-axon -n "$run" -l stop -x -d 'Text that ends the answer'
complete -c bit-axon -n "$run" -l run-ahead -x -d 'Steps to submit ahead, 0 to 8'
complete -c bit-axon -n "$run" -l ignore-eos -d 'Go on after the end of sequence'
complete -c bit-axon -n "$run" -l no-stream -d 'Print the answer when it is whole'
complete -c bit-axon -n "$run" -s c -l chat -d 'Use the chat template'
complete -c bit-axon -n "$run" -l system -x -d 'System message of a chat'
complete -c bit-axon -n '__fish_seen_subcommand_from run compare inspect devices' -l json -d 'Print JSON'

set -l logits '__fish_seen_subcommand_from logits'
complete -c bit-axon -n "$logits" -l ids -x -d 'The ids'
complete -c bit-axon -n "$logits" -l ids-file -rF -d 'File of the ids'
complete -c bit-axon -n "$logits" -l split -x -d 'Lengths of the pieces to feed'
complete -c bit-axon -n "$logits" -l out -rF -d 'Safetensors file to write'

set -l compare '__fish_seen_subcommand_from compare'
complete -c bit-axon -n "$compare" -l a -x -a 'auto cpu reference vulkan' -d 'To measure against'
complete -c bit-axon -n "$compare" -l b -x -a 'auto cpu reference vulkan' -d 'To measure'
complete -c bit-axon -n "$compare" -l prompt -x -d 'The prompt'
complete -c bit-axon -n "$compare" -l ids -x -d 'The ids'
complete -c bit-axon -n "$compare" -l ids-file -rF -d 'File of the ids'
complete -c bit-axon -n "$compare" -l split -x -d 'Lengths of the pieces to feed'
complete -c bit-axon -n "$compare" -l max-tokens -x -d 'Greedy tokens to generate'
complete -c bit-axon -n "$compare" -l tolerance -x -d 'Largest relative difference'

complete -c bit-axon -n '__fish_seen_subcommand_from tokenize detokenize' -l file -rF -d 'File of the text or the ids'

complete -c bit-axon -n '__fish_seen_subcommand_from inspect' -F
complete -c bit-axon -n '__fish_seen_subcommand_from inspect' -l tensors -d 'List the tensors'
complete -c bit-axon -n '__fish_seen_subcommand_from inspect' -l check -d 'Look for NaN and infinity'
