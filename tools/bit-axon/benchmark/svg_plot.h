// Plots as SVG, and bars, for a page of HTML. The page defines the colors: classes c0 to c9.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bitaxon::tool {

inline constexpr std::size_t kPlotColours = 10;

struct PlotPoint {
  double x = 0;
  double y = 0;
  double low = 0, high = 0;  ///< range of several runs; equal to y for a single run
  double limit = 0;          ///< drawn as a dashed line; 0 if there is no limit
  bool apart = false;        ///< drawn hollow, on a separate dotted line
};
struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;  ///< ascending in x
};

/// A number as text without an exponent, such as "38840", "123.4" or "0.0421".
std::string plain_number(double value);

/// A plot with a line for each series. Both axes are logarithmic, because lengths and speeds are
/// compared by factors. Leaves out values that are not above 0.
std::string line_plot(const std::vector<PlotSeries>& series, std::string_view x_name,
                      std::string_view y_name);

struct BarPart {
  std::string name;
  double size = 0;
  std::size_t colour = 0;
};
/// A bar in HTML with its parts side by side. The style of the page hides a name that has no room.
std::string stacked_bar(const std::vector<BarPart>& parts);

/// Escapes text so that it can be used in HTML, also in attributes.
std::string escaped(std::string_view text);

}  // namespace bitaxon::tool
