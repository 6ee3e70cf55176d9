#include "benchmark_report.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "platform/build_info.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

const char* limit_name(const BenchLimit& limit) { return limit.by_reading ? "read" : "float32"; }

std::string number_text(double value) {
  return fmt::format("{:.{}f}", value, value < 10 ? 3 : value < 1000 ? 1 : 0);
}

std::string percent_text(double share) {
  return std::isfinite(share) ? fmt::format("{:.1f} %", 100 * share) : std::string("-");
}

/// One line of numbers for people; the same in every format for them.
using Row = std::array<std::string, 8>;
const Row kHeader = {"test",    "device", "tok/s",       "spread",
                     "latency", "limit",  "tok/s at it", "share"};

Row row_of(const BenchedDevice& device, const BenchRecord& record) {
  return {test_text(record.test),
          printable(device.selector),
          number_text(record.tokens_per_sec()),
          percent_text(record.relative_spread()),
          time_text(record.latency_seconds(record.seconds.median)),
          limit_name(record.limit),
          number_text(record.limit_tokens_per_sec()),
          percent_text(record.limit_share())};
}

/// Tests one after the other, with all devices side by side.
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
    return fmt::format("{}: the device does not tell what its ops take in {}",
                       printable(device.selector), name_of(profile.kind));
  return fmt::format("{}: one step of {}, {} row{} at {}, {} in its ops",
                     printable(device.selector), name_of(profile.kind), profile.n_rows,
                     profile.n_rows == 1 ? "" : "s", profile.position,
                     time_text(profile.time_us() * 1e-6));
}

/// What every format for people says of the whole.
std::vector<std::string> notes_of(const Benchmark& found) {
  return {
      fmt::format("prefill: the prompt, and the logits of its last row only. first_token: the "
                  "prompt, and a token sampled after it. decode: tokens sampled one after the "
                  "other; its latency is one token's."),
      fmt::format("medians of {} after {} warm-up{}; spread: slowest less fastest, relative to "
                  "the median",
                  found.wish.n_iterations, found.wish.n_warmup,
                  found.wish.n_warmup == 1 ? "" : "s"),
      "share: of the speed at the limit. Per step, that is the longer one of reading (weights as "
      "stored, each once, plus keys and values read) at the device's read rate and computing "
      "at its float32 rate, both measured in this run"};
}

std::string device_text(const BenchedDevice& device) {
  std::string text = fmt::format("{}: {}", printable(device.selector), printable(device.name));
  if (!device.driver.empty()) text += fmt::format("; driver {}", printable(device.driver));
  return text + fmt::format("; {}", name_of(device.precision));
}

std::string memory_text(const BenchedDevice& device) {
  return fmt::format("weights {}, state {}, activations {}: {} in use; peak {}{}",
                     bytes_text(device.weight_bytes), bytes_text(device.state_bytes),
                     bytes_text(device.activation_bytes), bytes_text(device.active_bytes()),
                     bytes_text(device.peak_bytes), device.n_threads > 0 ? " (the process)" : "");
}

std::string limits_text(const BenchedDevice& device) {
  std::string text = fmt::format("reads {}, multiplies and adds {} in float32",
                                 rate_text(device.rates.read_bytes_per_s),
                                 flops_text(device.rates.f32_flops_per_s));
  if (device.rates.dispatch_s > 0)
    text += fmt::format(", an empty dispatch takes {}", time_text(device.rates.dispatch_s));
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

/// The first column to the left, the others to the right.
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

std::string escaped_cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

template <class Cells>
std::string piped(const Cells& header, const std::vector<Cells>& rows) {
  std::string text;
  const auto add = [&](const Cells& row) {
    text += "|";
    for (const std::string& cell : row) text += fmt::format(" {} |", escaped_cell(cell));
    text += "\n";
  };
  add(header);
  text += "|---|";
  for (std::size_t i = 1; i < header.size(); ++i) text += "---:|";
  text += "\n";
  for (const Cells& row : rows) add(row);
  return text;
}

Json optional_json(const std::optional<double>& value) {
  return value ? finite_or_null(*value) : Json(nullptr);
}

Json threads_json(const BenchedDevice& device) {
  return device.n_threads > 0 ? Json(device.n_threads) : Json(nullptr);
}

Json driver_json(const BenchedDevice& device) {
  return device.driver.empty() ? Json(nullptr) : Json(printable(device.driver));
}

/// Flat: a row of CSV.
Json record_json(const Benchmark& found, const BenchedDevice& device, const BenchRecord& record) {
  const BuildInfo& build = build_info();
  const auto per_second = [&](double seconds) {
    return finite_or_null(static_cast<double>(record.n_tokens) / seconds);
  };
  const auto latency_ms = [&](double seconds) {
    return finite_or_null(1e3 * record.latency_seconds(seconds));
  };
  const auto share = [&](double amount, double rate) {
    return finite_or_null(amount / rate / record.seconds.median);
  };
  return {{"version", build.version},
          {"commit", build.commit},
          {"device", printable(device.selector)},
          {"backend", device.backend},
          {"device_name", printable(device.name)},
          {"driver", driver_json(device)},
          {"threads", threads_json(device)},
          {"precision", name_of(device.precision)},
          {"model", found.model},
          {"quantization", device.format},
          {"batch_size", found.wish.batch_size},
          {"test", name_of(record.test.kind)},
          {"tokens", record.test.n_tokens},
          {"position", record.test.position},
          {"synthesized_state", record.test.made_up_state},
          {"warmup", found.wish.n_warmup},
          {"iterations", found.wish.n_iterations},
          {"tokens_per_sec", per_second(record.seconds.median)},
          {"tokens_per_sec_min", per_second(record.seconds.max)},
          {"tokens_per_sec_max", per_second(record.seconds.min)},
          {"latency_ms", latency_ms(record.seconds.median)},
          {"latency_ms_min", latency_ms(record.seconds.min)},
          {"latency_ms_max", latency_ms(record.seconds.max)},
          {"stored_bytes", record.work.stored_bytes},
          {"flops", record.work.flops},
          {"limit", limit_name(record.limit)},
          {"limit_tokens_per_sec", finite_or_null(record.limit_tokens_per_sec())},
          {"limit_share", finite_or_null(record.limit_share())},
          {"read_share",
           share(static_cast<double>(record.work.stored_bytes), device.rates.read_bytes_per_s)},
          {"float32_share",
           share(static_cast<double>(record.work.flops), device.rates.f32_flops_per_s)},
          {"read_bytes_per_sec", device.rates.read_bytes_per_s},
          {"float32_flops_per_sec", device.rates.f32_flops_per_s},
          {"active_bytes", device.active_bytes()},
          {"peak_bytes", device.peak_bytes},
          {"temperature_celsius", optional_json(record.temperature)}};
}

Json profile_json(const BenchProfile& profile) {
  Json ops = Json::array();
  for (const ProfiledOp& op : profile.ops)
    ops.push_back({{"op", op.op},
                   {"calls", op.calls},
                   {"time_us", op.time_us},
                   {"share", finite_or_null(op.time_us / profile.time_us())},
                   {"bytes", op.bytes},
                   {"flops", op.flops},
                   {"bytes_per_sec", finite_or_null(op.bytes_per_sec())}});
  return {{"test", name_of(profile.kind)},
          {"rows", profile.n_rows},
          {"position", profile.position},
          {"time_us", profile.time_us()},
          {"ops", ops}};
}

Json device_json(const BenchedDevice& device) {
  Json profiles = Json::array();
  for (const BenchProfile& profile : device.profiles) profiles.push_back(profile_json(profile));
  return {{"device", printable(device.selector)},
          {"backend", device.backend},
          {"device_name", printable(device.name)},
          {"driver", driver_json(device)},
          {"threads", threads_json(device)},
          {"precision", name_of(device.precision)},
          {"weight_bytes", device.weight_bytes},
          {"state_bytes", device.state_bytes},
          {"activation_bytes", device.activation_bytes},
          {"active_bytes", device.active_bytes()},
          {"peak_bytes", device.peak_bytes},
          {"read_bytes_per_sec", device.rates.read_bytes_per_s},
          {"float32_flops_per_sec", device.rates.f32_flops_per_s},
          {"dispatch_us",
           device.rates.dispatch_s > 0 ? Json(device.rates.dispatch_s * 1e6) : Json(nullptr)},
          {"profiles", profiles}};
}

Json records_json(const Benchmark& found) {
  Json records = Json::array();
  for (std::size_t t = 0; t < found.devices.front().records.size(); ++t)
    for (const BenchedDevice& device : found.devices)
      records.push_back(record_json(found, device, device.records[t]));
  return records;
}

/// RFC 4180.
std::string csv_cell(const Json& value) {
  if (value.is_null()) return "";
  if (!value.is_string()) return value.dump();
  const auto text = value.get<std::string>();
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted;
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return fmt::format("\"{}\"", quoted);
}

}  // namespace

std::string rate_text(double bytes_per_s) {
  if (!std::isfinite(bytes_per_s)) return "-";
  if (bytes_per_s >= 1e12) return fmt::format("{:.2f} TB/s", bytes_per_s * 1e-12);
  if (bytes_per_s >= 1e9) return fmt::format("{:.1f} GB/s", bytes_per_s * 1e-9);
  return fmt::format("{:.1f} MB/s", bytes_per_s * 1e-6);
}

std::string flops_text(double flops_per_s) {
  if (flops_per_s >= 1e12) return fmt::format("{:.2f} TFLOP/s", flops_per_s * 1e-12);
  return fmt::format("{:.1f} GFLOP/s", flops_per_s * 1e-9);
}

std::string time_text(double seconds) {
  if (seconds >= 1) return fmt::format("{:.2f} s", seconds);
  if (seconds >= 1e-3) return fmt::format("{:.2f} ms", seconds * 1e3);
  return fmt::format("{:.1f} us", seconds * 1e6);
}

std::string test_text(const BenchTest& test) {
  const std::string text = fmt::format("{} {}", name_of(test.kind), test.n_tokens);
  return test.kind == BenchKind::decode ? fmt::format("{} at {}", text, test.position) : text;
}

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
  std::string text = fmt::format("{}\n\n- model: {}\n", program_text(), model_text(found));
  if (found.wish.batch_size > 1)
    text += fmt::format("- batch: {} sequences\n", found.wish.batch_size);
  for (const BenchedDevice& device : found.devices) {
    text += fmt::format("- {}\n  - limits: {}\n  - memory: {}\n", device_text(device),
                        limits_text(device), memory_text(device));
    if (const std::string hot = temperature_text(device); !hot.empty())
      text += fmt::format("  - temperature: {}\n", hot);
  }
  text += fmt::format("\n{}\n", piped(kHeader, rows_of(found)));
  for (const std::string& note : notes_of(found)) text += fmt::format("- {}\n", note);
  for (const BenchedDevice& device : found.devices)
    for (const BenchProfile& profile : device.profiles)
      text += fmt::format("\n{}\n\n{}", profile_title(device, profile),
                          piped(kProfileHeader, rows_of(profile)));
  return text;
}

std::string csv_text(const Benchmark& found) {
  std::string text;
  for (const Json& record : records_json(found)) {
    std::string header, row;
    for (const auto& [key, value] : record.items()) {
      const char* separator = header.empty() ? "" : ",";
      header += fmt::format("{}{}", separator, key);
      row += fmt::format("{}{}", separator, csv_cell(value));
    }
    if (text.empty()) text = header + "\n";
    text += row + "\n";
  }
  return text;
}

Json report_json(const Benchmark& found) {
  const BuildInfo& build = build_info();
  Json devices = Json::array();
  for (const BenchedDevice& device : found.devices) devices.push_back(device_json(device));
  return {{"version", build.version},
          {"commit", build.commit},
          {"build", build.build_type},
          {"compiler", build.compiler},
          {"model", found.model},
          {"quantization", found.devices.front().format},
          {"batch_size", found.wish.batch_size},
          {"warmup", found.wish.n_warmup},
          {"iterations", found.wish.n_iterations},
          {"devices", devices},
          {"records", records_json(found)}};
}

}  // namespace bitaxon::tool
