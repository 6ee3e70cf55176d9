#include "doctor/doctor_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "benchmark/benchmark_json.h"
#include "benchmark/benchmark_text.h"
#include "platform/build_info.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

constexpr BenchRate kRates[] = {BenchRate::read, BenchRate::float32, BenchRate::matrix,
                                BenchRate::launches};

std::string line(std::string_view name, std::string_view text) {
  return fmt::format("{:<12}{}\n", name, text);
}

std::string device_lines(const Examination& found) {
  const DeviceInfo& device = found.device;
  const BuildInfo& build = build_info();
  std::string text = line("program", fmt::format("bit-axon {}, commit {}, {}", build.version,
                                                 build.commit, build.compiler));
  text += line("device", fmt::format("{}: {}", printable(device.selector), printable(device.name)));
  if (!device.driver.empty())
    text += line("driver", fmt::format("{}, Vulkan {}", printable(device.driver),
                                       printable(device.api_version)));
  if (!device.instruction_set.empty())
    text += line("cores", fmt::format("{} threads, {}", device.n_threads, device.instruction_set));
  text +=
      line("memory", fmt::format("{} of {} available", bytes_text(device.memory_available_bytes),
                                 bytes_text(device.memory_total_bytes)));
  for (const auto& properties : {device.limits, device.features})
    for (const DeviceProperty& property : properties)
      text += line("", fmt::format("{}: {}", property.name, printable(property.value)));
  for (const VariantChoice& choice : found.variants)
    text += line("variant", fmt::format("{}: {} ({})", choice.kernels, choice.variant,
                                        printable(choice.reason, 300)));
  return text;
}

std::string ops_lines(const Examination& found) {
  std::string text;
  for (const OpChecks& checks : found.ops) {
    const std::string what = fmt::format("{}: {} cases of {} ops", name_of(checks.precision),
                                         checks.n_cases, checks.n_ops);
    text += line("ops", checks.problems.empty()
                            ? fmt::format("{} agree; the largest error is {:.0f} % of the bound",
                                          what, 100 * checks.largest_error)
                            : fmt::format("{}, {} wrong results", what, checks.problems.size()));
    for (const std::string& problem : checks.problems) text += line("", printable(problem, 300));
  }
  return text;
}

std::string tokens_line(const Examination& found) {
  if (!found.tokens) return {};
  const Comparison& tokens = *found.tokens;
  std::string text = fmt::format(
      "{}, exact: {} of {} greedy tokens are those of the {}; logits "
      "differ by {:.1e}",
      found.model, tokens.n_same_greedy, tokens.n_greedy, tokens.a.backend,
      tokens.logits.relative_l2());
  if (tokens.parting)
    text += tokens.parting->is_near_tie ? "; the next token is a near tie"
                                        : "; the next token is not a near tie";
  return line("tokens", text);
}

std::string rate_lines(const Examination& found) {
  const DeviceRates& best = found.rates.best;
  std::string text = fmt::format("read {}, float32 {}",
                                 best.read_bytes_per_s > 0 ? rate_text(best.read_bytes_per_s) : "-",
                                 best.f32_flops_per_s > 0 ? flops_text(best.f32_flops_per_s) : "-");
  if (best.matrix_flops_per_s > 0)
    text += fmt::format(", matrix units {}", flops_text(best.matrix_flops_per_s));
  if (best.dispatch_s > 0) text += fmt::format(", a dispatch {}", time_text(best.dispatch_s));
  if (found.rates.n_measured == 0) return {};
  return line("rates", fmt::format("{} (best of {})", text, found.rates.n_measured));
}

std::string record_text(const BenchRecord& record) {
  std::string text =
      fmt::format("{}: {:.1f} tokens/s", test_text(record.test), record.tokens_per_sec());
  if (!record.limit) return text;
  std::vector<std::string> shares;
  for (const BenchRate rate : kRates)
    if (const std::optional<double> share = record.share_of(rate))
      shares.push_back(fmt::format("{} {}", name_of(rate), percent_text(share)));
  text += fmt::format(", {} of the {} limit ({})", percent_text(record.limit_share()),
                      name_of(record.limit->rate), fmt::join(shares, ", "));
  if (record.share_of(BenchRate::launches))
    text += fmt::format("; {} dispatches in a step", record.n_dispatches);
  return text;
}

std::string speed_lines(const Examination& found) {
  if (!found.speed) return {};
  const SpeedCheck& speed = *found.speed;
  std::string text =
      line("speed", fmt::format("{}, {}", printable(speed.model), name_of(speed.device.precision)));
  for (const BenchRecord& record : speed.device.records) text += line("", record_text(record));
  return text;
}

std::string temperature_line(const Examination& found) {
  const auto text = [](const std::optional<double>& celsius) {
    return celsius ? fmt::format("{:.0f} C", *celsius) : std::string("unknown");
  };
  return line("temperature", fmt::format("{} before, {} after", text(found.temperature_before),
                                         text(found.temperature_after)));
}

const BenchRecord* record_of(const Examination& found, BenchKind kind) {
  if (found.speed)
    for (const BenchRecord& record : found.speed->device.records)
      if (record.test.kind == kind) return &record;
  return nullptr;
}

bool is_plural(BenchRate rate) { return rate == BenchRate::matrix || rate == BenchRate::launches; }

std::string share_text(const Examination& found, BenchKind kind) {
  const BenchRecord* record = record_of(found, kind);
  if (record == nullptr || !record->limit_share()) return "not known";
  return fmt::format("{} of what {} allow{}", percent_text(record->limit_share()),
                     limit_words(record->limit->rate), is_plural(record->limit->rate) ? "" : "s");
}

std::string result_text(const Examination& found) {
  const std::string problem = printable(found.problem(), 300);
  if (!found.wrong_result().empty()) return "wrong: " + problem;
  if (const PartFailure* failure = found.failure()) switch (failure->cause) {
      case FailureCause::device:
        return "the device failed: " + problem;
      case FailureCause::installation:
        return "not known, because the installation is incomplete: " + problem;
      case FailureCause::program:
        return "not known, because a part failed: " + problem;
    }
  return found.is_right() ? "right" : "not known, because the examination was interrupted";
}

Json problem_cause_json(const Examination& found) {
  if (!found.wrong_result().empty()) return "result";
  return found.failure() != nullptr ? Json(name_of(found.failure()->cause)) : Json(nullptr);
}

std::string verdict_lines(const Examination& found) {
  return line("verdict", "results: " + result_text(found)) +
         line("", fmt::format("decoding: {}", share_text(found, BenchKind::decode))) +
         line("", fmt::format("prefill: {}", share_text(found, BenchKind::prefill)));
}

Json rate_json(double rate) { return rate > 0 ? Json(rate) : Json(nullptr); }

Json text_json(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json properties_json(const std::vector<DeviceProperty>& properties) {
  Json json = Json::object();
  for (const DeviceProperty& property : properties) json[property.name] = printable(property.value);
  return json;
}

Json device_json(const DeviceInfo& device) {
  return {{"selector", printable(device.selector)},
          {"name", printable(device.name)},
          {"type", device.type},
          {"driver", text_json(printable(device.driver))},
          {"api_version", text_json(printable(device.api_version))},
          {"instruction_set", text_json(device.instruction_set)},
          {"threads", device.n_threads > 0 ? Json(device.n_threads) : Json(nullptr)},
          {"memory_total_bytes", device.memory_total_bytes},
          {"memory_available_bytes", device.memory_available_bytes},
          {"limits", properties_json(device.limits)},
          {"features", properties_json(device.features)}};
}

Json variants_json(const std::vector<VariantChoice>& variants) {
  Json list = Json::array();
  for (const VariantChoice& choice : variants)
    list.push_back({{"kernels", choice.kernels},
                    {"variant", choice.variant},
                    {"reason", printable(choice.reason, 300)}});
  return list;
}

Json ops_json(const std::vector<OpChecks>& ops) {
  Json list = Json::array();
  for (const OpChecks& checks : ops) {
    Json problems = Json::array();
    for (const std::string& problem : checks.problems) problems.push_back(printable(problem, 300));
    list.push_back({{"precision", name_of(checks.precision)},
                    {"ops", checks.n_ops},
                    {"cases", checks.n_cases},
                    {"largest_error", finite_or_null(checks.largest_error)},
                    {"problems", problems}});
  }
  return list;
}

Json tokens_json(const Examination& found) {
  if (!found.tokens) return nullptr;
  const Comparison& tokens = *found.tokens;
  return {{"model", found.model},
          {"compared_with", tokens.a.backend},
          {"tokens", tokens.n_greedy},
          {"agreeing", tokens.n_same_greedy},
          {"near_tie", tokens.parting ? Json(tokens.parting->is_near_tie) : Json(nullptr)},
          {"logits_relative_l2", finite_or_null(tokens.logits.relative_l2())}};
}

Json shares_json(const BenchRecord& record) {
  Json shares = Json::object();
  for (const BenchRate rate : kRates)
    shares[std::string(name_of(rate))] = optional_json(record.share_of(rate));
  return shares;
}

Json speed_json(const std::optional<SpeedCheck>& speed) {
  if (!speed) return nullptr;
  Json tests = Json::array();
  for (const BenchRecord& record : speed->device.records)
    tests.push_back({{"test", name_of(record.test.kind)},
                     {"tokens", record.test.n_tokens},
                     {"position", record.test.position},
                     {"tokens_per_sec", finite_or_null(record.tokens_per_sec())},
                     {"limit", record.limit ? Json(name_of(record.limit->rate)) : Json(nullptr)},
                     {"limit_share", optional_json(record.limit_share())},
                     {"shares", shares_json(record)},
                     {"step_dispatches", dispatches_json(record)}});
  return {{"model", printable(speed->model)},
          {"precision", name_of(speed->device.precision)},
          {"peak_bytes", speed->device.peak_bytes},
          {"tests", tests}};
}

}  // namespace

std::string report_text(const Examination& found) {
  std::string text = device_lines(found) + ops_lines(found) + tokens_line(found) +
                     rate_lines(found) + speed_lines(found) + temperature_line(found);
  for (const PartFailure& failure : found.failures)
    text += line("failed", printable(failure.text, 300));
  for (const std::string& part : found.left_out) text += line("left out", part);
  return text + line("time", time_text(found.seconds)) + verdict_lines(found);
}

Json report_json(const Examination& found) {
  const BuildInfo& build = build_info();
  const DeviceRates& best = found.rates.best;
  Json failures = Json::array();
  for (const PartFailure& failure : found.failures)
    failures.push_back(printable(failure.text, 300));
  const std::optional<bool> right = found.is_right();
  return {{"version", build.version},
          {"commit", build.commit},
          {"compiler", build.compiler},
          {"device", device_json(found.device)},
          {"backend", found.backend},
          {"variants", variants_json(found.variants)},
          {"ops", ops_json(found.ops)},
          {"tokens", tokens_json(found)},
          {"rates",
           {{"read_bytes_per_sec", rate_json(best.read_bytes_per_s)},
            {"float32_flops_per_sec", rate_json(best.f32_flops_per_s)},
            {"matrix_flops_per_sec", rate_json(best.matrix_flops_per_s)},
            {"dispatch_us", rate_json(best.dispatch_s * 1e6)}}},
          {"speed", speed_json(found.speed)},
          {"temperature_celsius",
           {{"before", optional_json(found.temperature_before)},
            {"after", optional_json(found.temperature_after)}}},
          {"failures", failures},
          {"left_out", found.left_out},
          {"seconds", found.seconds},
          {"is_right", right ? Json(*right) : Json(nullptr)},
          {"problem", text_json(printable(found.problem(), 300))},
          {"problem_cause", problem_cause_json(found)}};
}

}  // namespace bitaxon::tool
