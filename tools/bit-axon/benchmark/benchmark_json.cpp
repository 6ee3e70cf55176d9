#include "benchmark/benchmark_json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "benchmark/benchmark_text.h"
#include "formats/json.h"
#include "platform/build_info.h"
#include "platform/printable.h"

namespace bitaxon::tool {

Json optional_json(const std::optional<double>& value) {
  return value ? finite_or_null(*value) : Json(nullptr);
}

Json dispatches_json(const BenchRecord& record) {
  return record.share_of(BenchRate::launches) ? Json(record.n_dispatches) : Json(nullptr);
}

namespace {

/// The fields that name a device, in its own object and in each of its records.
Json device_fields(const BenchedDevice& device) {
  return {{"device", printable(device.selector)},
          {"backend", device.backend},
          {"device_name", printable(device.name)},
          {"driver", device.driver.empty() ? Json(nullptr) : Json(printable(device.driver))},
          {"threads", device.n_threads > 0 ? Json(device.n_threads) : Json(nullptr)},
          {"precision", name_of(device.precision)}};
}

/// The program, the device and the model of a measurement. The object is flat, because CSV uses its
/// fields as cells.
Json subject_json(const Benchmark& found, const BenchedDevice& device) {
  const BuildInfo& build = build_info();
  Json json = {{"version", build.version}, {"commit", build.commit}};
  json.update(device_fields(device));
  json.update({{"model", found.model},
               {"quantization", device.format},
               {"batch_size", found.wish.batch_size}});
  return json;
}

/// Adds rates and memory of a device to its own object, or to one of its records.
void add_limits(const BenchedDevice& device, Json& json) {
  const auto rate_json = [](double rate) { return rate > 0 ? Json(rate) : Json(nullptr); };
  json["read_bytes_per_sec"] = rate_json(device.rates.best.read_bytes_per_s);
  json["read_bytes_per_sec_min"] = rate_json(device.rates.worst.read_bytes_per_s);
  json["float32_flops_per_sec"] = rate_json(device.rates.best.f32_flops_per_s);
  json["float32_flops_per_sec_min"] = rate_json(device.rates.worst.f32_flops_per_s);
  json["matrix_flops_per_sec"] = rate_json(device.rates.best.matrix_flops_per_s);
  json["dispatch_us"] = rate_json(device.rates.best.dispatch_s * 1e6);
  json["active_bytes"] = device.active_bytes;
  json["peak_bytes"] = device.peak_bytes;
}

/// The results of one test. The object is flat, because CSV uses its fields as cells.
Json record_json(const Benchmark& found, const BenchedDevice& device, const BenchRecord& record) {
  const auto per_second = [&](double seconds) {
    return finite_or_null(static_cast<double>(record.n_tokens) / seconds);
  };
  const auto latency_ms = [&](double seconds) {
    return finite_or_null(1e3 * record.latency_seconds(seconds));
  };
  Json json = subject_json(found, device);
  json.update({{"test", name_of(record.test.kind)},
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
               {"step_dispatches", dispatches_json(record)},
               {"limit", record.limit ? Json(name_of(record.limit->rate)) : Json(nullptr)},
               {"limit_tokens_per_sec", optional_json(record.limit_tokens_per_sec())},
               {"limit_share", optional_json(record.limit_share())},
               {"read_share", optional_json(record.share_of(BenchRate::read))},
               {"float32_share", optional_json(record.share_of(BenchRate::float32))},
               {"matrix_share", optional_json(record.share_of(BenchRate::matrix))},
               {"launch_share", optional_json(record.share_of(BenchRate::launches))}});
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
  Json json = device_fields(device);
  json.update({{"weight_bytes", device.weight_bytes},
               {"state_bytes", device.state_bytes},
               {"activation_bytes", device.activation_bytes}});
  add_limits(device, json);
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
