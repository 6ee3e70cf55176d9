#include "generation_defaults.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include "bitaxon/error.h"
#include "console.h"
#include "formats/json_file.h"
#include "platform/optional_file.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

class GenerationConfig {
 public:
  GenerationConfig(Json json, std::string name, const RunOptions& run)
      : json_(std::move(json)), name_(std::move(name)), run_(run) {}

  /// Sets `value` from `key`, unless `flag` is given or the key is missing or null.
  template <class T>
  void take(const char* key, const char* flag, double min, double max, T& value) {
    if (run_.is_given(flag) || !json_.contains(key) || json_[key].is_null()) return;
    const Json& number = json_[key];
    constexpr bool kWhole = std::is_integral_v<T>;
    const double wanted = number.is_number() ? number.get<double>() : -1;
    if (!(wanted >= min && wanted <= max) || (kWhole && std::trunc(wanted) != wanted))
      fail(key, fmt::format("a {} from {} to {}", kWhole ? "whole number" : "number", min, max));
    value = static_cast<T>(wanted);
    say(fmt::format("{} {}", flag + 2, wanted));
  }

  /// Whether tokens are drawn. Without a flag for the temperature, the file may ask for the likeliest
  /// token each time.
  bool draws(double& temperature) {
    if (run_.is_given("--temperature") || !json_.contains("do_sample")) return true;
    const Json& draws = json_["do_sample"];
    if (!draws.is_null() && !draws.is_boolean()) fail("do_sample", "true or false");
    if (draws.is_null() || draws.get<bool>()) return true;
    temperature = 0;
    say("no sampling");
    return false;
  }

  /// The tokenizer reads these ids, and skips what is none.
  void check_ends() const {
    if (!json_.contains("eos_token_id") || json_["eos_token_id"].is_null()) return;
    const Json& ends = json_["eos_token_id"];
    const Json list = ends.is_array() ? ends : Json::array({ends});
    for (const Json& id : list)
      if (!id.is_number()) fail("eos_token_id", "a token id or a list of them");
  }

  std::string line() const {
    return said_.empty() ? "" : fmt::format("sampling from generation_config.json: {}", said_);
  }

 private:
  [[noreturn]] void fail(const char* key, const std::string& expected) const {
    throw Error(ErrorKind::format, fmt::format("{}: {}: expected {}, got {}", name_, key, expected,
                                               printable_json(json_[key])));
  }
  void say(const std::string& what) { said_ += (said_.empty() ? "" : ", ") + what; }

  Json json_;
  std::string name_;
  const RunOptions& run_;
  std::string said_;
};

}  // namespace

std::string apply_generation_defaults(const std::filesystem::path& folder, const RunOptions& run,
                                      GenerateOptions& options) {
  const std::filesystem::path file = folder / "generation_config.json";
  if (!optional_file_exists(file)) return "";
  Json json = read_json_file(file, kConfigLimits);
  if (!json.is_object()) return "";
  SamplerParams& sampler = options.sampler;
  GenerationConfig config(std::move(json), printable_path(file.string()), run);
  config.check_ends();
  if (config.draws(sampler.temperature)) {
    config.take("temperature", "--temperature", 0, kNoLimit, sampler.temperature);
    config.take("top_k", "--top-k", 0, 1e9, sampler.top_k);
    config.take("top_p", "--top-p", 0, 1, sampler.top_p);
    config.take("min_p", "--min-p", 0, 1, sampler.min_p);
  }
  config.take("repetition_penalty", "--repetition-penalty", 1e-3, 1e3, sampler.repetition_penalty);
  return config.line();
}

}  // namespace bitaxon::tool
