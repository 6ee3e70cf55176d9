#include "benchmark/benchmark_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "benchmark/benchmark_text.h"
#include "benchmark/svg_plot.h"
#include "platform/build_info.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #1c1f23; --dim: #667; --rule: #d5d9de; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e6e9; --dim: #9aa3ad; --rule: #3a4048; --paper: #16181b; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 1080px; margin: 2em auto; padding: 0 1.2em; }
h1 { font-size: 1.5em; margin-bottom: .2em; }
h2 { font-size: 1.15em; margin: 2em 0 .4em; }
p, li { max-width: 62em; }
.dim, figcaption, .notes { color: var(--dim); }
.plots { display: grid; gap: 1.2em;
         grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); }
figure { margin: 0; }
figcaption b { color: var(--ink); }
svg { width: 100%; height: auto; display: block; }
svg text { font: 14px system-ui, sans-serif; fill: var(--dim); }
/* A plot shrinks with its page; its letters shrink less. */
@media (max-width: 560px) { svg text { font-size: 20px; } }
.bar { display: flex; margin: .4em 0 .6em; }
/* A name that is wider than its part moves to a second line, which is hidden. */
.bar span { display: flex; flex-wrap: wrap; justify-content: center; height: 2.2em; flex: none;
            overflow: hidden; line-height: 2.2em; color: #fff; background: var(--c); }
.bar span::before { content: ""; height: 100%; }
.grid { stroke: var(--rule); stroke-width: 1; }
.line { fill: none; stroke: var(--c); stroke-width: 2.2; }
.line.apart { stroke-dasharray: 1.5 4; }
.limit { fill: none; stroke: var(--c); stroke-width: 1.6; stroke-dasharray: 6 5; }
.range { stroke: var(--c); stroke-width: 1.6; }
circle { fill: var(--c); }
circle.apart { fill: var(--paper); stroke: var(--c); stroke-width: 1.6; }
.key { display: inline-block; width: .8em; height: .8em; background: var(--c); border-radius: 2px;
       margin-right: .4em; }
table { border-collapse: collapse; margin: .6em 0; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .22em .6em; border-bottom: 1px solid var(--rule);
         white-space: nowrap; }
.wraps { white-space: normal; min-width: 14em; }
td .dim { display: block; font-size: .85em; }
th { font-weight: 600; }
th:first-child, td:first-child, .left { text-align: left; }
.scroll { overflow-x: auto; }
.meter { display: inline-block; width: 90px; height: .7em; margin-right: .6em;
         background: var(--rule); border-radius: 2px; }
.meter i { display: block; height: 100%; background: var(--c); border-radius: 2px; }
.c0 { --c: #2868c8; } .c1 { --c: #c8582a; } .c2 { --c: #2a8f5a; } .c3 { --c: #8a4fc0; }
.c4 { --c: #b03a6f; } .c5 { --c: #14808c; } .c6 { --c: #8a6d1c; } .c7 { --c: #5b6f8a; }
.c8 { --c: #a04040; } .c9 { --c: #4a7a20; }
)";

class Page {
 public:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }
  void add_text(const std::string& text) { text_ += text; }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string shown(const std::string& text) { return escaped(printable(text)); }

std::string speed(double tokens_per_sec) {
  return fmt::format("{:.{}f}", tokens_per_sec, tokens_per_sec < 10 ? 2 : 0);
}

void add_head(Page& page, const Benchmark& found) {
  const BuildInfo& build = build_info();
  page.add(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width\">"
      "<title>bit-axon benchmark: {}</title>\n<style>{}</style></head>\n<body>\n",
      shown(found.model), kStyle);
  page.add("<h1>bit-axon benchmark</h1>\n<p>{}; weights {}; {} sequence{} at a time.</p>\n",
           shown(found.model), shown(found.devices.front().format), found.wish.batch_size,
           found.wish.batch_size == 1 ? "" : "s");
  page.add(
      "<p class=\"dim\">bit-axon {}, commit {}; {}, {}. Medians of {} run{} after {} "
      "warm-up{}{}.</p>\n",
      escaped(build.version), escaped(build.commit), escaped(build.build_type),
      escaped(build.compiler), found.wish.n_iterations, found.wish.n_iterations == 1 ? "" : "s",
      found.wish.n_warmup, found.wish.n_warmup == 1 ? "" : "s",
      found.devices.size() > 1 ? ", the devices in turn" : "");
}

/// A table cell with the best measured rate, and below it the range of the measured rates.
std::string ranged_cell(const BenchedDevice& device, double DeviceRates::*rate,
                        std::string (*text)(double)) {
  if (device.rates.best.*rate <= 0) return kNotMeasured;
  const std::string best = text(device.rates.best.*rate),
                    all = range_text(device.rates, rate, text);
  return all.empty() ? best : fmt::format("{}<span class=\"dim\">{}</span>", best, all);
}

void add_devices(Page& page, const Benchmark& found) {
  page.add(
      "<h2>Devices and their limits</h2>\n<div class=\"scroll\"><table>\n<tr><th>device</th>"
      "<th class=\"left\">name</th><th class=\"left\">precision</th><th>reads</th><th>float32</th>"
      "<th>matrix units</th><th>a dispatch</th>"
      "<th>in use</th><th>peak</th><th>temperature</th></tr>\n");
  for (std::size_t d = 0; d < found.devices.size(); ++d) {
    const BenchedDevice& device = found.devices[d];
    const std::optional<double> temperature = device.records.back().temperature;
    page.add(
        "<tr><td><span class=\"key c{}\"></span>{}</td><td class=\"left wraps\">{}{}</td>"
        "<td class=\"left\">{}</td><td>{}</td><td>{}</td>",
        d % kPlotColours, shown(device.selector), shown(device.name),
        device.driver.empty() ? "" : "; driver " + shown(device.driver), name_of(device.precision),
        ranged_cell(device, &DeviceRates::read_bytes_per_s, rate_text),
        ranged_cell(device, &DeviceRates::f32_flops_per_s, flops_text));
    // Many devices have no matrix units, and only GPUs launch dispatches.
    const auto if_any = [&](double DeviceRates::*rate, std::string (*text)(double)) {
      return device.rates.best.*rate > 0 ? ranged_cell(device, rate, text) : "-";
    };
    page.add("<td>{}</td><td>{}</td>", if_any(&DeviceRates::matrix_flops_per_s, flops_text),
             if_any(&DeviceRates::dispatch_s, time_text));
    page.add("<td>{}</td><td>{}</td><td>{}</td></tr>\n", bytes_text(device.active_bytes),
             bytes_text(device.peak_bytes),
             temperature ? fmt::format("{:.0f} °C", *temperature) : "not known");
  }
  page.add(
      "</table></div>\n<p class=\"notes\">All rates were measured between the runs. The best "
      "rate is the limit; the range is below it. Memory in use (after the first round) and "
      "its peak are weights as packed, state and activations; on a CPU, the resident memory of the "
      "whole process.</p>\n");
}

/// The number to show for a test that took `seconds`: milliseconds for a first_token test, else
/// tokens per second.
double measure_of(const BenchRecord& record, double seconds) {
  return record.test.kind == BenchKind::first_token
             ? seconds * 1e3
             : static_cast<double>(record.n_tokens) / seconds;
}

std::vector<PlotSeries> series_of(const Benchmark& found, BenchKind kind) {
  std::vector<PlotSeries> all;
  for (const BenchedDevice& device : found.devices) {
    PlotSeries series{device.selector, {}};
    for (const BenchRecord& record : device.records) {
      if (record.test.kind != kind) continue;
      const std::int64_t x =
          kind == BenchKind::decode ? record.test.position : record.test.n_tokens;
      series.points.push_back(
          {.x = static_cast<double>(x),
           .y = measure_of(record, record.seconds.median),
           .low = measure_of(record, record.seconds.max),
           .high = measure_of(record, record.seconds.min),
           .limit = record.limit ? measure_of(record, record.limit->seconds) : 0,
           .apart = record.test.made_up_state});
    }
    std::ranges::stable_sort(series.points, {}, &PlotPoint::x);
    all.push_back(std::move(series));
  }
  return all;
}

struct PlotNames {
  const char* title;
  const char* caption;
  const char* x;
  const char* y;
};

void add_plot(Page& page, const Benchmark& found, BenchKind kind, const PlotNames& names) {
  const std::string plot = line_plot(series_of(found, kind), names.x, names.y);
  if (plot.empty()) return;
  page.add("<figure>{}<figcaption><b>{}</b> {}</figcaption></figure>\n", plot, names.title,
           names.caption);
}

void add_plots(Page& page, const Benchmark& found) {
  const bool several = found.wish.batch_size > 1;
  page.add("<h2>Speed against length</h2>\n<p>");
  for (std::size_t d = 0; d < found.devices.size(); ++d)
    page.add("<span class=\"key c{}\"></span>{} &nbsp; ", d % kPlotColours,
             shown(found.devices[d].selector));
  page.add(
      "<span class=\"dim\">solid: measured, with its range; dashed: the speed at the device's "
      "limits{}. Both axes are logarithmic.</span></p>\n<div class=\"plots\">\n",
      has_made_up_records(found) ? "; hollow and dotted: decoded after tokens that were not fed, "
                                   "with a synthesized state"
                                 : "");
  add_plot(page, found, BenchKind::prefill,
           {"Prefill.", "The whole prompt, and the logits of its last row only. Higher is better.",
            "tokens of the prompt", "tokens per second"});
  add_plot(page, found, BenchKind::decode,
           {"Decoding.",
            several ? "All sequences together. Higher is better."
                    : "One token after the other. Higher is better.",
            "tokens before the first that is decoded", "tokens per second"});
  add_plot(page, found, BenchKind::first_token,
           {"Time to the first token.", "The prompt and a token sampled after it. Lower is better.",
            "tokens of the prompt", "milliseconds"});
  page.add("</div>\n");
}

void add_limit_cells(Page& page, const BenchRecord& record) {
  if (!record.limit) {
    page.add("<td>-</td><td class=\"left\">{}</td><td class=\"left\">-</td></tr>\n", kNotMeasured);
    return;
  }
  const double share = *record.limit_share();
  page.add(
      "<td>{}</td><td class=\"left\">{}</td><td class=\"left\"><span class=\"meter\">"
      "<i style=\"width:{:.1f}%\"></i></span>{}</td></tr>\n",
      speed(*record.limit_tokens_per_sec()), limit_words(record.limit->rate),
      100 * std::clamp(share, 0.0, 1.0), percent_text(share));
}

void add_records(Page& page, const Benchmark& found) {
  page.add(
      "<h2>All measurements</h2>\n<div class=\"scroll\"><table>\n<tr><th>test</th>"
      "<th class=\"left\">device</th><th>tokens/s</th><th>spread</th><th>latency</th>"
      "<th>at the limit</th><th class=\"left\">limited by</th>"
      "<th class=\"left\">share of the limit</th></tr>\n");
  for (std::size_t t = 0; t < found.devices.front().records.size(); ++t)
    for (std::size_t d = 0; d < found.devices.size(); ++d) {
      const BenchedDevice& device = found.devices[d];
      const BenchRecord& record = device.records[t];
      page.add(
          "<tr class=\"c{}\"><td>{}</td><td class=\"left\"><span class=\"key\"></span>{}</td>"
          "<td>{}</td><td>{}</td><td>{}</td>",
          d % kPlotColours, test_text(record.test), shown(device.selector),
          speed(record.tokens_per_sec()), percent_text(record.seconds.relative()),
          time_text(record.latency_seconds(record.seconds.median)));
      add_limit_cells(page, record);
    }
  page.add(
      "</table></div>\n<p class=\"notes\">first_token: the prompt and a token sampled after it. "
      "The latency of decoding is that of one token. Spread: slowest minus fastest, relative to "
      "the median. The limit of a step is the longest of three times: reading (weights as stored, "
      "each once, plus keys and values read) at the device's read rate; computing at its float32 "
      "rate, or in fast at the rate of the matrix units that it uses for several rows; and the "
      "launches of its dispatches, each as long as an empty one.{}</p>\n",
      has_made_up_records(found) ? fmt::format(" {}.", kMadeUpNote) : "");
}

/// The number of an op's color: the op's index among all ops that occur. So an op has the same
/// color everywhere.
std::size_t colour_of(std::vector<std::string>& ops, const std::string& op) {
  const auto at = std::ranges::find(ops, op);
  const auto colour = static_cast<std::size_t>(at - ops.begin());
  if (at == ops.end()) ops.push_back(op);
  return colour;
}

void add_profile(Page& page, const BenchedDevice& device, const BenchProfile& profile,
                 std::vector<std::string>& ops) {
  std::vector<BarPart> parts;
  for (const ProfiledOp& op : profile.ops)
    parts.push_back({op.op, op.time_us, colour_of(ops, op.op)});
  page.add("<h3>{}: {}</h3>\n{}", escaped(profile_text(device, profile)),
           time_text(profile.time_us() * 1e-6), stacked_bar(parts));
  page.add(
      "<div class=\"scroll\"><table>\n<tr><th>op</th><th>calls</th><th>time</th><th>share</th>"
      "<th>bytes</th><th>bytes/s</th><th>of the read rate</th></tr>\n");
  for (std::size_t i = 0; i < profile.ops.size(); ++i) {
    const ProfiledOp& op = profile.ops[i];
    const double rate = op.bytes_per_sec();
    page.add(
        "<tr><td class=\"c{}\"><span class=\"key\"></span>{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        parts[i].colour % kPlotColours, escaped(op.op), op.calls, time_text(op.time_us * 1e-6),
        percent_text(op.time_us / profile.time_us()),
        bytes_text(static_cast<std::uint64_t>(op.bytes)), rate_text(rate),
        percent_text(rate / device.rates.best.read_bytes_per_s));
  }
  page.add("</table></div>\n");
}

void add_profiles(Page& page, const Benchmark& found) {
  page.add("<h2>Where the time goes</h2>\n");
  std::vector<std::string> ops;
  bool any = false;
  for (const BenchedDevice& device : found.devices)
    for (const BenchProfile& profile : device.profiles) {
      if (profile.ops.empty()) continue;
      add_profile(page, device, profile, ops);
      any = true;
    }
  page.add(
      "<p class=\"notes\">{}</p>\n",
      any ? "The time of each op's kernels in one step, the fastest of several, measured apart "
            "from the runs above. Bytes are those that its calls must read and write, "
            "activations included. Only the rows of the step are fed; the state before them "
            "is synthesized."
          : "The device does not measure its kernels.");
}

}  // namespace

std::string page_text(const Benchmark& found) {
  Page page;
  add_head(page, found);
  add_plots(page, found);
  add_devices(page, found);
  add_records(page, found);
  add_profiles(page, found);
  page.add("</body></html>\n");
  return page.take();
}

}  // namespace bitaxon::tool
