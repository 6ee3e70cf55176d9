#include "benchmark/benchmark_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "benchmark/benchmark_text.h"
#include "platform/build_info.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

std::string number_text(double value) {
  return fmt::format("{:.{}f}", value, value < 10 ? 3 : value < 1000 ? 1 : 0);
}

/// One row of the table of results. The text table and the Markdown table have the same rows.
using Row = std::array<std::string, 8>;
const Row kHeader = {"test",    "device", "tok/s",       "spread",
                     "latency", "limit",  "tok/s at it", "share"};

Row row_of(const BenchedDevice& device, const BenchRecord& record) {
  return {test_text(record.test),
          printable(device.selector),
          number_text(record.tokens_per_sec()),
          percent_text(record.seconds.relative()),
          time_text(record.latency_seconds(record.seconds.median)),
          record.limit ? std::string(name_of(record.limit->rate)) : kNotMeasured,
          record.limit ? number_text(*record.limit_tokens_per_sec()) : "-",
          percent_text(record.limit_share())};
}

/// The rows of all tests, in order. A test has one row for each device.
std::vector<Row> rows_of(const Benchmark& found) {
  std::vector<Row> rows;
  for (std::size_t t = 0; t < found.devices.front().records.size(); ++t)
    for (const BenchedDevice& device : found.devices)
      rows.push_back(row_of(device, device.records[t]));
  return rows;
}

using ProfileRow = std::array<std::string, 6>;
const ProfileRow kProfileHeader = {"op", "calls", "time", "share", "bytes", "rate"};

std::vector<ProfileRow> rows_of(const BenchProfile& profile) {
  std::vector<ProfileRow> rows;
  for (const ProfiledOp& op : profile.ops)
    rows.push_back({op.op, fmt::format("{}", op.calls), time_text(op.time_us * 1e-6),
                    percent_text(op.time_us / profile.time_us()),
                    bytes_text(static_cast<std::uint64_t>(op.bytes)),
                    rate_text(op.bytes_per_sec())});
  return rows;
}

std::string profile_title(const BenchedDevice& device, const BenchProfile& profile) {
  if (profile.ops.empty())
    return fmt::format("{}: the device does not measure its ops in {}", printable(device.selector),
                       name_of(profile.kind));
  return fmt::format("{}, {} in its ops", profile_text(device, profile),
                     time_text(profile.time_us() * 1e-6));
}

/// The notes below the table. The text table and the Markdown table have the same notes.
std::vector<std::string> notes_of(const Benchmark& found) {
  std::vector<std::string> notes = {
      "prefill: the prompt, and the logits of its last row only. first_token: the prompt, and a "
      "token sampled after it; its latency is the time to the first token. decode: tokens sampled "
      "one after the other; its latency is one token's.",
      fmt::format("medians of {} after {} warm-up{}; spread: slowest minus fastest, relative to "
                  "the median",
                  found.wish.n_iterations, found.wish.n_warmup,
                  found.wish.n_warmup == 1 ? "" : "s"),
      "share: of the speed at the limit. The limit of a step is the longest of three times: "
      "reading "
      "(weights as stored, each once, plus keys and values read) at the device's read rate; "
      "computing at its float32 rate, or in fast at the rate of the matrix units that it uses for "
      "several rows; and launching its dispatches, each as long as an empty one. The rates are the "
      "best of those measured between the runs; their "
      "range is in brackets"};
  if (has_made_up_records(found) || found.wish.profile) notes.emplace_back(kMadeUpNote);
  return notes;
}

std::string device_text(const BenchedDevice& device) {
  std::string text = fmt::format("{}: {}", printable(device.selector), printable(device.name));
  if (!device.driver.empty()) text += fmt::format("; driver {}", printable(device.driver));
  return text + fmt::format("; {}", name_of(device.precision));
}

std::string memory_text(const BenchedDevice& device) {
  return fmt::format("weights {}, state {}, activations {} reserved; {} in use, peak {}{}",
                     bytes_text(device.weight_bytes), bytes_text(device.state_bytes),
                     bytes_text(device.activation_bytes), bytes_text(device.active_bytes),
                     bytes_text(device.peak_bytes),
                     device.n_threads > 0 ? " (resident, of the process)" : "");
}

std::string limits_text(const BenchedDevice& device) {
  const auto range = [&](double DeviceRates::*rate, std::string (*text)(double)) {
    if (device.rates.best.*rate <= 0) return std::string(kNotMeasured);
    const std::string best = text(device.rates.best.*rate);
    const std::string all = range_text(device.rates, rate, text);
    return all.empty() ? best : fmt::format("{} ({})", best, all);
  };
  std::string text = fmt::format("reads {}; multiplies and adds in float32 {}",
                                 range(&DeviceRates::read_bytes_per_s, rate_text),
                                 range(&DeviceRates::f32_flops_per_s, flops_text));
  if (device.rates.best.matrix_flops_per_s > 0)
    text += fmt::format("; matrix units {}", range(&DeviceRates::matrix_flops_per_s, flops_text));
  if (device.rates.best.dispatch_s > 0)
    text += fmt::format("; an empty dispatch takes {}", range(&DeviceRates::dispatch_s, time_text));
  return text;
}

std::string temperature_text(const BenchedDevice& device) {
  const std::optional<double> temperature = device.records.back().temperature;
  return temperature ? fmt::format("{:.0f} °C afterwards", *temperature) : "";
}

std::string model_text(const Benchmark& found) {
  return fmt::format("{}; {}", found.model, found.devices.front().format);
}

std::string program_text() {
  const BuildInfo& build = build_info();
  return fmt::format("bit-axon {}, commit {}; {}, {}", build.version, build.commit,
                     build.build_type, build.compiler);
}

/// Aligns the first column to the left and the others to the right.
template <class Cells>
std::string aligned(const Cells& header, const std::vector<Cells>& rows) {
  std::array<std::size_t, std::tuple_size_v<Cells>> widths{};
  const auto widen = [&](const Cells& row) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  };
  widen(header);
  for (const Cells& row : rows) widen(row);
  std::string text;
  const auto add = [&](const Cells& row) {
    text += fmt::format("{:<{}}", row[0], widths[0]);
    for (std::size_t i = 1; i < row.size(); ++i) text += fmt::format("  {:>{}}", row[i], widths[i]);
    text += "\n";
  };
  add(header);
  for (const Cells& row : rows) add(row);
  return text;
}

bool is_word(char c) {
  // Only ASCII letters count, because Markdown does not treat bytes of other letters as letters.
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// Escapes text for Markdown. Inside a word "_" needs no escape.
std::string markdown_escaped(const std::string& text) {
  constexpr std::string_view kSigns = "\\`*<>|[]&~";
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool in_word =
        i > 0 && i + 1 < text.size() && is_word(text[i - 1]) && is_word(text[i + 1]);
    if (kSigns.find(text[i]) != std::string_view::npos || (text[i] == '_' && !in_word)) out += '\\';
    out += text[i];
  }
  return out;
}

template <class Cells>
std::string piped(const Cells& header, const std::vector<Cells>& rows) {
  std::string text;
  const auto add = [&](const Cells& row) {
    text += "|";
    for (const std::string& cell : row) text += fmt::format(" {} |", markdown_escaped(cell));
    text += "\n";
  };
  add(header);
  text += "|---|";
  for (std::size_t i = 1; i < header.size(); ++i) text += "---:|";
  text += "\n";
  for (const Cells& row : rows) add(row);
  return text;
}

}  // namespace

std::string table_text(const Benchmark& found) {
  std::string text = program_text() + "\n";
  text += fmt::format("model: {}\n", model_text(found));
  if (found.wish.batch_size > 1)
    text += fmt::format("batch: {} sequences\n", found.wish.batch_size);
  for (const BenchedDevice& device : found.devices) {
    text += fmt::format("\n{}\n", device_text(device));
    text += fmt::format("  limits: {}\n  memory: {}\n", limits_text(device), memory_text(device));
    if (const std::string hot = temperature_text(device); !hot.empty())
      text += fmt::format("  temperature: {}\n", hot);
  }
  text += fmt::format("\n{}\n", aligned(kHeader, rows_of(found)));
  for (const std::string& note : notes_of(found)) text += note + "\n";
  for (const BenchedDevice& device : found.devices)
    for (const BenchProfile& profile : device.profiles)
      text += fmt::format("\n{}\n{}", profile_title(device, profile),
                          aligned(kProfileHeader, rows_of(profile)));
  return text;
}

std::string markdown_text(const Benchmark& found) {
  std::string text = fmt::format("{}\n\n- model: {}\n", markdown_escaped(program_text()),
                                 markdown_escaped(model_text(found)));
  if (found.wish.batch_size > 1)
    text += fmt::format("- batch: {} sequences\n", found.wish.batch_size);
  for (const BenchedDevice& device : found.devices) {
    text +=
        fmt::format("- {}\n  - limits: {}\n  - memory: {}\n", markdown_escaped(device_text(device)),
                    limits_text(device), memory_text(device));
    if (const std::string hot = temperature_text(device); !hot.empty())
      text += fmt::format("  - temperature: {}\n", hot);
  }
  text += fmt::format("\n{}\n", piped(kHeader, rows_of(found)));
  for (const std::string& note : notes_of(found)) text += fmt::format("- {}\n", note);
  for (const BenchedDevice& device : found.devices)
    for (const BenchProfile& profile : device.profiles)
      text += fmt::format("\n{}\n\n{}", markdown_escaped(profile_title(device, profile)),
                          piped(kProfileHeader, rows_of(profile)));
  return text;
}

}  // namespace bitaxon::tool
