#include "model/adapter_metadata.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "bitaxon/error.h"
#include "platform/build_info.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

constexpr const char* kVersionKey = "bitaxon_adapter";
constexpr std::string_view kVersion = "1";

class MetadataReader {
 public:
  MetadataReader(const std::map<std::string, std::string>& metadata, std::string_view name)
      : metadata_(metadata), name_(name) {}

  std::string text(const std::string& key) const {
    const auto found = metadata_.find(key);
    return found == metadata_.end() ? std::string() : found->second;
  }

  template <class T>
  T number(const std::string& key, T min, T max) const {
    const std::string value = text(key);
    T number{};
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool is_whole = parsed.ec == std::errc() && parsed.ptr == value.data() + value.size();
    // NaN is in no range.
    if (is_whole && number >= min && number <= max) return number;
    refuse(key, fmt::format("a number from {} to {}", min, max), value);
  }

  AdapterKind kind() const {
    const std::string value = text("kind");
    for (const AdapterKind kind : {AdapterKind::lora, AdapterKind::dora})
      if (value == name_of(kind)) return kind;
    refuse("kind", "\"lora\" or \"dora\"", value);
  }

  [[noreturn]] void refuse(std::string_view key, std::string_view expected, std::string_view value,
                           ErrorKind kind = ErrorKind::format) const {
    throw Error(kind, fmt::format("{}: metadata \"{}\": expected {}, got \"{}\"", name_, key,
                                  expected, printable(value, 60)));
  }

 private:
  const std::map<std::string, std::string>& metadata_;
  std::string_view name_;
};

}  // namespace

std::string_view name_of(AdapterKind kind) { return kind == AdapterKind::dora ? "dora" : "lora"; }

std::optional<AdapterMetadata> read_adapter_metadata(
    const std::map<std::string, std::string>& metadata, std::string_view name) {
  if (!metadata.contains(kVersionKey)) return std::nullopt;
  const MetadataReader reader(metadata, name);
  if (const std::string version = reader.text(kVersionKey); version != kVersion)
    reader.refuse(kVersionKey, fmt::format("\"{}\"", kVersion), version, ErrorKind::unsupported);
  constexpr double kMost = std::numeric_limits<float>::max();
  constexpr auto kMaxStep = std::numeric_limits<std::int64_t>::max();
  return AdapterMetadata{.kind = reader.kind(),
                         .rank = reader.number<std::int64_t>("rank", 1, std::int64_t{1} << 20),
                         .scale = reader.number<double>("scale", -kMost, kMost),
                         .dropout = reader.number<double>("dropout", 0, 1),
                         .targets = reader.text("targets"),
                         .base = reader.text("base"),
                         .objective = reader.text("objective"),
                         .step = reader.number<std::int64_t>("step", 0, kMaxStep)};
}

std::string other_base(const AdapterMetadata& adapter, std::string_view name,
                       std::string_view base) {
  if (adapter.base.empty() || adapter.base == base) return {};
  return fmt::format(
      "{}: expected the model that the adapter was trained on ({}), got another ({}); this is "
      "right only for the same model in another format, such as 4 bits",
      name, printable(adapter.base, 40), base);
}

std::map<std::string, std::string> metadata_of(const AdapterMetadata& adapter) {
  return {{"format", "mlx"},
          {kVersionKey, std::string(kVersion)},
          {"kind", std::string(name_of(adapter.kind))},
          {"rank", std::to_string(adapter.rank)},
          {"scale", fmt::format("{}", adapter.scale)},
          {"dropout", fmt::format("{}", adapter.dropout)},
          {"targets", adapter.targets},
          {"base", adapter.base},
          {"objective", adapter.objective},
          {"step", std::to_string(adapter.step)},
          {"program", fmt::format("bit-axon {}", build_info().version)}};
}

}  // namespace bitaxon
