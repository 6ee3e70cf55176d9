// Plots as SVG, and bars, inside a page of HTML. Colours are the page's: classes c0 to c9.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bitaxon::tool {

inline constexpr std::size_t kPlotColours = 10;

struct PlotPoint {
  double x = 0;
  double y = 0;
  double low = 0, high = 0;  ///< of several runs; y where there was one
  double limit = 0;          ///< drawn as a dashed line; 0: there is none
  bool apart = false;        ///< of another kind: hollow, and on a dotted line of their own
};
struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;  ///< ascending in x
};

/// A number as it is said, without an exponent: "38840", "123.4", "0.0421".
std::string plain_number(double value);

/// Lines over x, both axes logarithmic, since lengths and speeds are compared by factors. What is
/// not above 0 is left out.
std::string line_plot(const std::vector<PlotSeries>& series, std::string_view x_name,
                      std::string_view y_name);

struct BarPart {
  std::string name;
  double size = 0;
  std::size_t colour = 0;
};
/// One bar of HTML, parts side by side; names where there is room, which the page's style knows.
std::string stacked_bar(const std::vector<BarPart>& parts);

/// For HTML, attributes included.
std::string escaped(std::string_view text);

}  // namespace bitaxon::tool
