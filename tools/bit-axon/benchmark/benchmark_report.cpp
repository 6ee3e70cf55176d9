#include "benchmark/benchmark_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
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

/// One line of numbers for people, the same in the table and in Markdown.
using Row = std::array<std::string, 8>;
const Row kHeader = {"test",    "device", "tok/s",       "spread",
                     "latency", "limit",  "tok/s at it", "share"};

Row row_of(const BenchedDevice& device, const BenchRecord& record) {
  return {test_text(record.test),
          printable(device.selector),
          number_text(record.tokens_per_sec()),
          percent_text(record.seconds.relative()),
          time_text(record.latency_seconds(record.seconds.median)),
          record.limit ? limit_name(*record.limit) : kNotMeasured,
          record.limit ? number_text(*record.limit_tokens_per_sec()) : "-",
          percent_text(record.limit_share())};
}

/// All tests in order; the rows of one test's devices follow one another.
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

/// The notes below the table, the same in every format for people.
std::vector<std::string> notes_of(const Benchmark& found) {
  std::vector<std::string> notes = {
      "prefill: the prompt, and the logits of its last row only. first_token: the prompt, and a "
      "token sampled after it; its latency is the time to the first token. decode: tokens sampled "
      "one after the other; its latency is one token's.",
      fmt::format("medians of {} after {} warm-up{}; spread: slowest minus fastest, relative to "
                  "the median",
                  found.wish.n_iterations, found.wish.n_warmup,
                  found.wish.n_warmup == 1 ? "" : "s"),
      "share: of the speed at the limit. The limit of a step is the longer of reading (weights as "
      "stored, each once, plus keys and values read) at the device's read rate and computing "
      "at its float32 rate. The rates are the best of those measured between the runs; their "
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
  // Markdown treats the bytes of other letters as no letters.
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

Json optional_json(const std::optional<double>& value) {
  return value ? finite_or_null(*value) : Json(nullptr);
}

Json threads_json(const BenchedDevice& device) {
  return device.n_threads > 0 ? Json(device.n_threads) : Json(nullptr);
}

Json driver_json(const BenchedDevice& device) {
  return device.driver.empty() ? Json(nullptr) : Json(printable(device.driver));
}

/// Program, device and model of a measurement. Flat, because CSV uses the fields as cells.
Json subject_json(const Benchmark& found, const BenchedDevice& device) {
  const BuildInfo& build = build_info();
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
          {"batch_size", found.wish.batch_size}};
}

/// Adds rates and memory of a device to its own object, or to one of its records.
void add_limits(const BenchedDevice& device, Json& json) {
  const auto rate_json = [](double rate) { return rate > 0 ? Json(rate) : Json(nullptr); };
  json["read_bytes_per_sec"] = rate_json(device.rates.best.read_bytes_per_s);
  json["read_bytes_per_sec_min"] = rate_json(device.rates.worst.read_bytes_per_s);
  json["float32_flops_per_sec"] = rate_json(device.rates.best.f32_flops_per_s);
  json["float32_flops_per_sec_min"] = rate_json(device.rates.worst.f32_flops_per_s);
  json["active_bytes"] = device.active_bytes;
  json["peak_bytes"] = device.peak_bytes;
}

/// Flat, because CSV uses the fields as cells.
Json record_json(const Benchmark& found, const BenchedDevice& device, const BenchRecord& record) {
  const DeviceRates& rates = device.rates.best;
  const auto per_second = [&](double seconds) {
    return finite_or_null(static_cast<double>(record.n_tokens) / seconds);
  };
  const auto latency_ms = [&](double seconds) {
    return finite_or_null(1e3 * record.latency_seconds(seconds));
  };
  const auto share = [&](double amount, double rate) {
    return finite_or_null(amount / rate / record.seconds.median);
  };
  Json json = subject_json(found, device);
  json.update(
      {{"test", name_of(record.test.kind)},
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
       {"spread", optional_json(record.seconds.relative())},
       {"stored_bytes", record.work.stored_bytes},
       {"flops", record.work.flops},
       {"limit", record.limit ? Json(limit_name(*record.limit)) : Json(nullptr)},
       {"limit_tokens_per_sec", optional_json(record.limit_tokens_per_sec())},
       {"limit_share", optional_json(record.limit_share())},
       {"read_share", share(static_cast<double>(record.work.stored_bytes), rates.read_bytes_per_s)},
       {"float32_share", share(static_cast<double>(record.work.flops), rates.f32_flops_per_s)}});
  add_limits(device, json);
  json["temperature_celsius"] = optional_json(record.temperature);
  return json;
}

Json op_json(const BenchProfile& profile, const ProfiledOp& op) {
  return {{"op", op.op},
          {"calls", op.calls},
          {"time_us", op.time_us},
          {"share", finite_or_null(op.time_us / profile.time_us())},
          {"bytes", op.bytes},
          {"flops", op.flops},
          {"bytes_per_sec", finite_or_null(op.bytes_per_sec())}};
}

Json profile_json(const BenchProfile& profile) {
  Json ops = Json::array();
  for (const ProfiledOp& op : profile.ops) ops.push_back(op_json(profile, op));
  return {{"test", name_of(profile.kind)}, {"rows", profile.n_rows},
          {"position", profile.position},  {"synthesized_state", profile.has_made_up_state()},
          {"time_us", profile.time_us()},  {"ops", ops}};
}

Json device_json(const BenchedDevice& device) {
  Json profiles = Json::array();
  for (const BenchProfile& profile : device.profiles) profiles.push_back(profile_json(profile));
  const DeviceRates& best = device.rates.best;
  Json json = {{"device", printable(device.selector)},
               {"backend", device.backend},
               {"device_name", printable(device.name)},
               {"driver", driver_json(device)},
               {"threads", threads_json(device)},
               {"precision", name_of(device.precision)},
               {"weight_bytes", device.weight_bytes},
               {"state_bytes", device.state_bytes},
               {"activation_bytes", device.activation_bytes}};
  add_limits(device, json);
  json["dispatch_us"] = best.dispatch_s > 0 ? Json(best.dispatch_s * 1e6) : Json(nullptr);
  json["profiles"] = profiles;
  return json;
}

Json records_json(const Benchmark& found) {
  Json records = Json::array();
  for (std::size_t t = 0; t < found.devices.front().records.size(); ++t)
    for (const BenchedDevice& device : found.devices)
      records.push_back(record_json(found, device, device.records[t]));
  return records;
}

/// A cell of CSV, quoted as RFC 4180 says.
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

/// A row of CSV for all launches of an op.
Json op_row(const Benchmark& found, const BenchedDevice& device, const BenchProfile& profile,
            const ProfiledOp& op) {
  Json row = subject_json(found, device);
  row.update({{"test", name_of(profile.kind)},
              {"tokens", profile.n_rows},
              {"position", profile.position},
              {"synthesized_state", profile.has_made_up_state()}});
  row.update(op_json(profile, op));
  return row;
}

std::string csv_line(const std::vector<std::string>& cells) {
  return fmt::format("{}\n", fmt::join(cells, ","));
}

}  // namespace

std::string percent_text(std::optional<double> share) {
  return share && std::isfinite(*share) ? fmt::format("{:.1f} %", 100 * *share) : std::string("-");
}

std::string range_text(const RateRange& rates, double DeviceRates::*rate,
                       std::string (*text)(double)) {
  const auto [least, most] = std::minmax({rates.best.*rate, rates.worst.*rate});
  return rates.n_measured < 2 ? "" : fmt::format("{} to {}", text(least), text(most));
}

std::string profile_text(const BenchedDevice& device, const BenchProfile& profile) {
  return fmt::format("{}: one step of {}, {} row{} at {}{}", printable(device.selector),
                     name_of(profile.kind), profile.n_rows, profile.n_rows == 1 ? "" : "s",
                     profile.position, profile.has_made_up_state() ? ", synthesized" : "");
}

bool has_made_up_records(const Benchmark& found) {
  // All devices run the same tests.
  return std::ranges::any_of(found.devices.front().records,
                             [](const BenchRecord& record) { return record.test.made_up_state; });
}

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
  if (test.kind != BenchKind::decode) return text;
  return fmt::format("{} at {}{}", text, test.position, test.made_up_state ? ", synthesized" : "");
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

std::string csv_text(const Benchmark& found) {
  std::vector<Json> rows;
  for (Json& record : records_json(found)) rows.push_back(std::move(record));
  // The columns are the same with and without profiles.
  Json columns = rows.front();
  columns.update(op_json({}, {}));
  for (const BenchedDevice& device : found.devices)
    for (const BenchProfile& profile : device.profiles)
      for (const ProfiledOp& op : profile.ops) rows.push_back(op_row(found, device, profile, op));
  std::vector<std::string> cells;
  for (const auto& [key, value] : columns.items()) cells.push_back(key);
  std::string text = csv_line(cells);
  for (const Json& row : rows) {
    cells.clear();
    for (const auto& [key, value] : columns.items())
      cells.push_back(csv_cell(row.contains(key) ? row[key] : Json(nullptr)));
    text += csv_line(cells);
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
