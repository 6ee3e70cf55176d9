#include "benchmark/svg_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

namespace bitaxon::tool {
namespace {

// Size and margins of a plot, in its own units.
constexpr double kWidth = 640, kHeight = 340;
constexpr double kLeft = 84, kRight = 16, kTop = 14, kBottom = 54;

/// A logarithmic axis.
class Axis {
 public:
  /// The smallest value is drawn at `begin`, the largest at `end`.
  Axis(double begin, double end) : begin_(begin), end_(end) {}

  void add(double value) {
    if (!(value > 0) || !std::isfinite(value)) return;
    low_ = std::min(low_, value);
    high_ = std::max(high_, value);
  }
  bool empty() const { return high_ < low_; }
  /// Widens the axis by a factor on both sides.
  void widen(double factor) {
    low_ /= factor;
    high_ *= factor;
  }
  double place(double value) const {
    if (high_ <= low_) return (begin_ + end_) / 2;
    return begin_ + (end_ - begin_) * std::log(value / low_) / std::log(high_ / low_);
  }
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  double begin_, end_;
  double low_ = std::numeric_limits<double>::infinity();
  double high_ = -std::numeric_limits<double>::infinity();
};

std::string tick_text(double value) {
  if (value >= 1e6) return fmt::format("{:g}M", value * 1e-6);
  if (value >= 1e4) return fmt::format("{:g}k", value * 1e-3);
  return fmt::format("{:g}", value);
}

/// The positions of the ticks: 1, 2, 5, 10 and so on. On an axis of many decades, only powers of
/// ten.
std::vector<double> ticks_of(const Axis& axis) {
  const bool sparse = axis.high() / axis.low() > 3e3;
  std::vector<double> ticks;
  for (double decade = std::floor(std::log10(axis.low())); decade <= std::log10(axis.high());
       ++decade)
    for (const double digit : {1.0, 2.0, 5.0}) {
      const double value = digit * std::pow(10, decade);
      if ((digit > 1 && sparse) || value < axis.low() || value > axis.high()) continue;
      ticks.push_back(value);
    }
  return ticks;
}

class Drawing {
 public:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void draw_axes(Drawing& drawing, const Axis& x, const Axis& y, const std::vector<double>& x_ticks,
               std::string_view x_name, std::string_view y_name) {
  for (const double tick : ticks_of(y)) {
    drawing.add(R"(<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>)", kLeft,
                kWidth - kRight, y.place(tick), y.place(tick));
    drawing.add(R"(<text x="{}" y="{:.1f}" text-anchor="end" dy="4">{}</text>)", kLeft - 8,
                y.place(tick), tick_text(tick));
  }
  // Labels do not overlap, and the last label is always drawn.
  constexpr double kLabel = 60;
  double free_from = -kWidth;
  const double last = x_ticks.empty() ? 0 : x.place(x_ticks.back());
  for (const double tick : x_ticks) {
    drawing.add(R"(<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>)",
                x.place(tick), kTop, kHeight - kBottom);
    const double place = x.place(tick);
    if (place < last && (place < free_from || place + kLabel > last)) continue;
    free_from = place + kLabel;
    drawing.add(R"(<text x="{:.1f}" y="{}" text-anchor="middle">{:.0f}</text>)", place,
                kHeight - kBottom + 18, tick);
  }
  drawing.add(R"(<text x="{}" y="{}" text-anchor="middle">{}</text>)",
              (kLeft + kWidth - kRight) / 2, kHeight - 8, escaped(x_name));
  drawing.add(
      R"svg(<text transform="translate(14 {}) rotate(-90)" text-anchor="middle">{}</text>)svg",
      (kTop + kHeight - kBottom) / 2, escaped(y_name));
}

void draw_series(Drawing& drawing, const Axis& x, const Axis& y, const PlotSeries& series,
                 std::size_t colour, std::string_view y_name) {
  std::string line, apart, limit;
  for (const PlotPoint& point : series.points) {
    (point.apart ? apart : line) +=
        fmt::format("{:.1f},{:.1f} ", x.place(point.x), y.place(point.y));
    if (point.limit > 0)
      limit += fmt::format("{:.1f},{:.1f} ", x.place(point.x), y.place(point.limit));
  }
  // A limit at a single length is drawn as a line too.
  if (series.points.size() == 1 && !limit.empty())
    limit = fmt::format("{0},{2:.1f} {1},{2:.1f}", kLeft, kWidth - kRight,
                        y.place(series.points[0].limit));
  drawing.add(R"(<g class="c{}">)", colour % kPlotColours);
  if (!limit.empty())
    drawing.add(R"(<polyline class="limit" points="{}"><title>{}: limit</title></polyline>)", limit,
                escaped(series.name));
  if (!line.empty()) drawing.add(R"(<polyline class="line" points="{}"/>)", line);
  if (!apart.empty()) drawing.add(R"(<polyline class="line apart" points="{}"/>)", apart);
  for (const PlotPoint& point : series.points) {
    drawing.add(R"(<line class="range" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}"/>)",
                x.place(point.x), y.place(point.low), y.place(point.high));
    drawing.add(
        R"(<circle{} cx="{:.1f}" cy="{:.1f}" r="4"><title>{} at {:.0f}{}: {} {} ({} to {}){}</title></circle>)",
        point.apart ? R"( class="apart")" : "", x.place(point.x), y.place(point.y),
        escaped(series.name), point.x, point.apart ? ", synthesized" : "", plain_number(point.y),
        escaped(y_name), plain_number(std::min(point.low, point.high)),
        plain_number(std::max(point.low, point.high)),
        point.limit > 0 ? ", limit " + plain_number(point.limit) : "");
  }
  drawing.add("</g>");
}

}  // namespace

std::string plain_number(double value) {
  const double size = std::abs(value);
  return fmt::format("{:.{}f}", value, size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 4);
}

std::string line_plot(const std::vector<PlotSeries>& series, std::string_view x_name,
                      std::string_view y_name) {
  Axis x(kLeft + 24, kWidth - kRight - 24), y(kHeight - kBottom, kTop);
  std::vector<double> x_ticks;
  for (const PlotSeries& one : series)
    for (const PlotPoint& point : one.points) {
      x.add(point.x);
      for (const double value : {point.y, point.low, point.high, point.limit}) y.add(value);
      x_ticks.push_back(point.x);
    }
  if (x.empty() || y.empty()) return "";
  std::ranges::sort(x_ticks);
  x_ticks.erase(std::unique(x_ticks.begin(), x_ticks.end()), x_ticks.end());
  y.widen(1.3);
  Drawing drawing;
  drawing.add(R"(<svg viewBox="0 0 {} {}" role="img" aria-label="{} over {}">)", kWidth, kHeight,
              escaped(y_name), escaped(x_name));
  draw_axes(drawing, x, y, x_ticks, x_name, y_name);
  for (std::size_t i = 0; i < series.size(); ++i) draw_series(drawing, x, y, series[i], i, y_name);
  drawing.add("</svg>\n");
  return drawing.take();
}

std::string stacked_bar(const std::vector<BarPart>& parts) {
  double total = 0;
  for (const BarPart& part : parts) total += part.size;
  Drawing drawing;
  drawing.add(R"(<div class="bar">)");
  for (const BarPart& part : parts) {
    const double percent = 100 * part.size / total;
    drawing.add(R"(<span class="c{}" style="width:{:.2f}%" title="{}: {:.1f} %">{}</span>)",
                part.colour % kPlotColours, percent, escaped(part.name), percent,
                escaped(part.name));
  }
  drawing.add("</div>\n");
  return drawing.take();
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace bitaxon::tool
