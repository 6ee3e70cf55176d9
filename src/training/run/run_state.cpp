#include "training/run/run_state.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "bitaxon/error.h"

namespace bitaxon {
namespace {

constexpr int kVersion = 1;
constexpr JsonLimits kLimits = {.max_bytes = std::size_t{4} << 20, .max_depth = 8};

/// Reads the keys of an object that this program wrote. Every key must be there.
class StateReader {
 public:
  StateReader(const Json& object, std::string_view name) : object_(object), name_(name) {}

  std::int64_t count(const char* key, std::int64_t min = 0) const {
    const std::optional<std::int64_t> value = whole_number(find(key));
    if (value && *value >= min) return *value;
    refuse(key, fmt::format("a whole number >= {}", min));
  }
  /// A number, or NaN for null.
  double number(const char* key) const {
    const Json& value = find(key);
    if (value.is_null()) return std::numeric_limits<double>::quiet_NaN();
    if (!value.is_number()) refuse(key, "a number or null");
    return value.get<double>();
  }
  double seconds(const char* key) const {
    const double value = number(key);
    if (value >= 0) return value;
    refuse(key, "a number >= 0");
  }
  const Json& object(const char* key) const {
    const Json& value = find(key);
    if (!value.is_object()) refuse(key, "an object");
    return value;
  }
  std::optional<BestEvaluation> best() const {
    if (find("best").is_null()) return std::nullopt;
    const StateReader reader(object("best"), name_);
    return BestEvaluation{reader.count("step"), reader.number("loss")};
  }

  [[noreturn]] void refuse(std::string_view key, std::string_view expected) const {
    const auto value = object_.find(key);
    throw Error(ErrorKind::format,
                fmt::format("{}: {}: expected {}, got {}", name_, key, expected,
                            value == object_.end() ? "none" : printable_json(*value)));
  }

 private:
  const Json& find(const char* key) const {
    const auto value = object_.find(key);
    if (value == object_.end()) refuse(key, "a value");
    return *value;
  }

  const Json& object_;
  std::string_view name_;
};

}  // namespace

std::string text_of(const RunState& state) {
  Json best = nullptr;
  if (state.best) best = {{"step", state.best->step}, {"loss", finite_or_null(state.best->loss)}};
  const Json json = {{"version", kVersion},
                     {"step", state.step},
                     {"micro", state.place.micro_batch},
                     {"loss", finite_or_null(state.loss)},
                     {"grad_norm", finite_or_null(state.grad_norm)},
                     {"epoch", state.place.epoch},
                     {"next_example", state.place.next_example},
                     {"next_token", state.place.next_token},
                     {"tokens_seen", state.tokens},
                     {"target_tokens_seen", state.target_tokens},
                     {"skipped", state.skipped},
                     {"skipped_in_row", state.skipped_in_row},
                     {"evaluated_step", state.evaluated_step},
                     {"best", best},
                     {"evaluations_since_best", state.evaluations_since_best},
                     {"seconds", finite_or_null(state.seconds)},
                     {"pause_seconds", finite_or_null(state.pause_seconds)},
                     {"data", state.data},
                     {"settings", state.settings}};
  return json.dump(2) + "\n";
}

RunState parse_run_state(std::string_view text, std::string_view name, bool* is_upstreams) {
  const Json json = parse_json(text, name, kLimits);
  if (!json.is_object())
    throw Error(ErrorKind::format,
                fmt::format("{}: expected an object, got {}", name, printable_json(json)));
  const StateReader reader(json, name);
  RunState state;
  const bool is_ours = json.contains("version");
  if (is_upstreams != nullptr) *is_upstreams = !is_ours;
  state.loss = reader.number("loss");
  if (!is_ours) {
    reader.count("step");  // in micro-batches; the optimizer's file counts updates
    return state;
  }
  if (reader.count("version", 1) != kVersion) reader.refuse("version", std::to_string(kVersion));
  state.step = reader.count("step");
  state.grad_norm = reader.number("grad_norm");
  const auto place = [&](const char* key) { return static_cast<std::uint64_t>(reader.count(key)); };
  state.place = {place("epoch"), place("next_example"), place("next_token"), place("micro")};
  state.tokens = reader.count("tokens_seen");
  state.target_tokens = reader.count("target_tokens_seen");
  state.skipped = reader.count("skipped");
  state.skipped_in_row = reader.count("skipped_in_row");
  state.evaluated_step = reader.count("evaluated_step", -1);
  state.best = reader.best();
  state.evaluations_since_best = reader.count("evaluations_since_best");
  state.seconds = reader.seconds("seconds");
  state.pause_seconds = reader.seconds("pause_seconds");
  state.data = reader.object("data");
  state.settings = reader.object("settings");
  return state;
}

}  // namespace bitaxon
