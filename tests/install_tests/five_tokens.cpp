// A program that uses the installed library: prints five greedy tokens of the bundled model.
#include <bitaxon/devices.h>
#include <bitaxon/generate.h>

#include <iostream>

int main() {
  const bitaxon::OpenedDevice device = bitaxon::open_device("cpu");
  const bitaxon::ModelFiles files = bitaxon::model_files(MODELS_DIR "/tiny-shakespeare");
  std::vector<std::string> warnings;
  bitaxon::Model model = bitaxon::Model::load(device.backend, files, {}, warnings);
  const bitaxon::Vocabulary vocabulary(bitaxon::Tokenizer::find(files.folder).value(),
                                       model.vocab_mapping(), model.spec().vocab_size);
  bitaxon::State state = model.new_state();
  bitaxon::GenerateOptions options;
  options.sampler.temperature = 0;
  options.max_tokens = 5;
  const std::vector<std::int32_t> prompt = vocabulary.encode("ROMEO:");
  std::cout << bitaxon::generate(model, state, &vocabulary, prompt, options).text << '\n';
}
