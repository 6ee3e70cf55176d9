#include "benchmark/train_report.h"

#include <fmt/format.h>

#include "benchmark/benchmark_text.h"
#include "formats/json.h"
#include "platform/build_info.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

std::string spread_text(const Spread& seconds) {
  return fmt::format("{} ({} to {}, {} runs)", time_text(seconds.median), time_text(seconds.min),
                     time_text(seconds.max), seconds.n);
}

Json spread_json(const Spread& seconds) {
  return {{"median", seconds.median}, {"min", seconds.min}, {"max", seconds.max}, {"n", seconds.n}};
}

std::string_view kind_of(const TrainBenchmark& found) {
  return found.wish.adapter.kind == AdapterKind::dora ? "dora" : "lora";
}

double seconds_of(const std::vector<ProfiledOp>& ops) {
  double sum = 0;
  for (const ProfiledOp& op : ops) sum += op.time_us * 1e-6;
  return sum;
}

/// The table of an update's ops.
std::string ops_text(const std::vector<ProfiledOp>& ops) {
  if (ops.empty()) return {};
  constexpr const char* kRow = "  {:<25}{:>7}{:>12}{:>9}{:>13}{:>14}\n";
  const double all = seconds_of(ops);
  std::string text = "\n" + fmt::format(kRow, "op", "calls", "time", "share", "bytes", "rate");
  for (const ProfiledOp& op : ops)
    text += fmt::format(kRow, op.op, op.calls, time_text(op.time_us * 1e-6),
                        percent_text(op.time_us * 1e-6 / all),
                        bytes_text(static_cast<std::uint64_t>(op.bytes)),
                        flops_text(static_cast<double>(op.flops) / op.time_us * 1e6));
  return text;
}

Json ops_json(const std::vector<ProfiledOp>& ops) {
  const double all = seconds_of(ops);
  Json list = Json::array();
  for (const ProfiledOp& op : ops)
    list.push_back({{"op", op.op},
                    {"calls", op.calls},
                    {"time_us", op.time_us},
                    {"share", finite_or_null(op.time_us * 1e-6 / all)},
                    {"bytes", op.bytes},
                    {"flops", op.flops}});
  return list;
}

}  // namespace

std::string train_text(const TrainBenchmark& found) {
  const double share =
      static_cast<double>(found.n_parameters) / static_cast<double>(found.n_base_parameters);
  std::string text = fmt::format("{} on {}: {}, {} rank {}, {} tokens\n", printable(found.model),
                                 printable(found.device), name_of(found.precision),
                                 kind_of(found) == "dora" ? "DoRA" : "LoRA",
                                 found.wish.adapter.rank, found.wish.n_tokens);
  text += fmt::format("  trained parameters   {} of {} ({:.2f} %)\n", found.n_parameters,
                      found.n_base_parameters, 100 * share);
  text += fmt::format("  training             {:.1f} tok/s, an update in {}\n",
                      found.tokens_per_sec(), spread_text(found.update_seconds));
  text += fmt::format("  prefill              {:.1f} tok/s, in {}\n",
                      found.prefill_tokens_per_sec(), spread_text(found.prefill_seconds));
  text += fmt::format("  training / prefill   {}\n", percent_text(found.prefill_share()));
  if (found.limit_share() > 0)
    text += fmt::format("  share of the limit   {} ({} at {})\n", percent_text(found.limit_share()),
                        "float32", flops_text(found.rates.best.f32_flops_per_s));
  text += fmt::format("  memory               {} at the peak, {} announced\n",
                      bytes_text(found.peak_bytes), bytes_text(found.announced_bytes));
  return text + ops_text(found.ops);
}

Json train_json(const TrainBenchmark& found) {
  return {{"model", found.model},
          {"device", found.device},
          {"backend", found.backend},
          {"threads", found.n_threads},
          {"precision", name_of(found.precision)},
          {"version", build_info().version},
          {"adapter", kind_of(found)},
          {"rank", found.wish.adapter.rank},
          {"tokens", found.wish.n_tokens},
          {"trained_parameters", found.n_parameters},
          {"base_parameters", found.n_base_parameters},
          {"update_seconds", spread_json(found.update_seconds)},
          {"prefill_seconds", spread_json(found.prefill_seconds)},
          {"tokens_per_sec", found.tokens_per_sec()},
          {"prefill_tokens_per_sec", found.prefill_tokens_per_sec()},
          {"prefill_share", found.prefill_share()},
          {"update_flops", found.update_flops},
          {"f32_flops_per_sec", found.rates.best.f32_flops_per_s},
          {"limit_share", found.limit_share()},
          {"peak_bytes", found.peak_bytes},
          {"announced_bytes", found.announced_bytes},
          {"ops", ops_json(found.ops)}};
}

}  // namespace bitaxon::tool
