// Plots as SVG inside a page of HTML. Colours are the page's: classes c0 to c9.
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
};
struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;  ///< ascending in x
};

/// Lines over x, both axes logarithmic, since lengths and speeds are compared by factors. What is
/// not above 0 is left out.
std::string line_plot(const std::vector<PlotSeries>& series, std::string_view x_name,
                      std::string_view y_name);

struct BarPart {
  std::string name;
  double size = 0;
  std::size_t colour = 0;
};
/// One bar, parts side by side; names where there is room.
std::string stacked_bar(const std::vector<BarPart>& parts);

/// For HTML, attributes included.
std::string escaped(std::string_view text);

}  // namespace bitaxon::tool
