// Writes a model directory with random weights:
//   make_model --config default --format q4 --output DIR
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <map>
#include <string>

#include "platform/printable.h"
#include "random_model.h"

namespace bitaxon::bench {
namespace {

int make_model(int argc, char** argv) {
  const std::map<std::string, BitAxonConfig> configs = {{"default", BitAxonConfig()},
                                                        {"medium", BitAxonConfig::medium()},
                                                        {"small", BitAxonConfig::small()}};
  const std::map<std::string, ModelFormat> formats = {
      {"f16", ModelFormat::f16}, {"nf4", ModelFormat::nf4}, {"q4", ModelFormat::q4}};
  std::string config = "default";
  std::string format = "q4";
  std::uint64_t seed = 1;
  std::string output;
  CLI::App program("Writes a model directory of random weights.", "make_model");
  program.add_option("--config", config, "Configuration")->check(CLI::IsMember(configs));
  program.add_option("--format", format, "Format of the stored matrices")
      ->check(CLI::IsMember(formats));
  program.add_option("--seed", seed, "Seed of the weights");
  program
      .add_option("--output,-o", output, "Output folder; existing model files in it are replaced")
      ->required();
  for (CLI::Option* option : program.get_options()) option->capture_default_str();
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : 2;
  }
  const std::uint64_t bytes =
      write_random_model(configs.at(config), formats.at(format), seed, output);
  std::printf("%s: %s configuration, %s, seed %llu, %.3f GB\n", printable_path(output).c_str(),
              config.c_str(), format.c_str(), static_cast<unsigned long long>(seed),
              static_cast<double>(bytes) * 1e-9);
  return 0;
}

}  // namespace
}  // namespace bitaxon::bench

int main(int argc, char** argv) {
  try {
    return bitaxon::bench::make_model(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_model: %s\n", bitaxon::printable(error.what(), 4096).c_str());
    return 1;
  }
}
