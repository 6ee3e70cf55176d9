// A program that uses the installed library. It prints five greedy tokens of a model.
#include <bitaxon/session.h>

#include <iostream>

int main(int argc, char** argv) try {
  const std::string model = argc > 1 ? argv[1] : MODELS_DIR "/tiny-shakespeare";
  bitaxon::Session session = bitaxon::open_session({.model = model}, "cpu");
  bitaxon::State state = session.model.new_state();
  bitaxon::GenerateOptions options;
  options.sampler.temperature = 0;
  options.max_tokens = 5;
  options.on_text = [](std::string_view text) { std::cout << text << std::flush; };
  const std::vector<std::int32_t> prompt = session.vocabulary->encode("ROMEO:");
  bitaxon::generate(session.model, state, &*session.vocabulary, prompt, options);
  std::cout << '\n';
} catch (const bitaxon::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
