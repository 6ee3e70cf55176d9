#include "training/run/metrics_file.h"

#include <string>
#include <string_view>

#include "bitaxon/error.h"
#include "platform/file.h"
#include "platform/optional_file.h"

namespace bitaxon {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{4} << 30;

/// Whether a line was written before the checkpoint.
bool is_kept(std::string_view line, std::int64_t step, std::uint64_t micro_batch) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return false;
  const auto number = [&](const char* key) -> std::int64_t {
    const auto found = json.find(key);
    return found == json.end() ? 0 : whole_number(*found).value_or(0);
  };
  return number("step") <= step && number("micro") <= static_cast<std::int64_t>(micro_batch);
}

}  // namespace

MetricsFile::MetricsFile(const std::filesystem::path& path) : file_(path) {}

void MetricsFile::add(const Json& line) {
  const std::string text = line.dump() + "\n";
  file_.append(std::as_bytes(std::span(text)));
}

void cut_metrics(const std::filesystem::path& path, std::int64_t step, std::uint64_t micro_batch) {
  if (!optional_file_exists(path)) return;
  const std::string text = read_whole_file(path, kMaxBytes);
  std::string kept;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;  // an incomplete line
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    if (is_kept(line, step, micro_batch)) kept.append(line).push_back('\n');
    begin = end + 1;
  }
  if (kept == text) return;
  write_text_file(path, kept);
}

}  // namespace bitaxon
