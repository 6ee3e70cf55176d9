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
  double low = 0, high = 0;  ///< range of several runs; y for a single run
  double limit = 0;          ///< drawn as a dashed line; 0: no limit
  bool apart = false;        ///< drawn hollow, on a separate dotted line
};
struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;  ///< ascending in x
};

/// A number without an exponent: "38840", "123.4", "0.0421".
std::string plain_number(double value);

/// Lines over x. Both axes are logarithmic, because lengths and speeds are compared by factors.
/// Values that are not above 0 are left out.
std::string line_plot(const std::vector<PlotSeries>& series, std::string_view x_name,
                      std::string_view y_name);

struct BarPart {
  std::string name;
  double size = 0;
  std::size_t colour = 0;
};
/// One bar of HTML with its parts side by side. The style of the page hides names without room.
std::string stacked_bar(const std::vector<BarPart>& parts);

/// Escapes text for HTML, attributes included.
std::string escaped(std::string_view text);

}  // namespace bitaxon::tool
