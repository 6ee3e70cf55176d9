// The table of budgets: bounds on the figures of kernels.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "gpu_code/report.h"

namespace bitaxon::gpu_code {

/// One line of the table. "*" matches everything, also at the end of a name: "moe_*".
struct Budget {
  std::string figure, kernel, format;
  std::string rows;                           ///< a number, or "*"
  std::vector<std::optional<double>> bounds;  ///< one for each family; empty ("-"): no bound
  int line = 0;
};

struct Budgets {
  std::string name;                   ///< of the file, for messages
  std::string driver;                 ///< the driver that the bounds are for: "Mesa 22.3"
  std::vector<std::string> families;  ///< the columns of the table
  std::vector<Budget> lines;

  /// The bound of a figure: that of the last line that matches. Empty if there is no bound.
  std::optional<double> bound(const std::string& figure, const KernelFacts& facts,
                              const std::string& family) const;
  /// Whether a figure of the kernel that needs the machine code is bounded.
  bool has_counts(const KernelFacts& facts) const;
};

/// Reads a table. Throws Error(format) that names the line.
Budgets parse_budgets(const std::string& text, const std::string& name);
Budgets read_budgets(const std::filesystem::path& path);

/// Throws Error(invalid_argument) if the table has no bounds for a family, and Error(unsupported) if
/// they are not for its driver. Needs no pipeline, so that a check can refuse before it compiles.
void need_bounds_for(const Budgets& budgets, const std::string& family, const std::string& driver);

/// A line for each figure that exceeds its bound. Throws what need_bounds_for() throws.
std::vector<std::string> exceeded(const Budgets& budgets, const FamilyCode& family,
                                  const std::vector<ReportRow>& rows);
/// A line for each bound of the family that no pipeline has: it would hide that a kernel is no longer
/// measured.
std::vector<std::string> unmet(const Budgets& budgets, const FamilyCode& family,
                               const std::vector<ReportRow>& rows);

/// Today's figures of several families as lines of a table: those that need the machine code, for one
/// row of aligned weights, for four rows of the common formats, for tiles, attention and the scan.
std::string as_budgets(const std::vector<FamilyCode>& families);

}  // namespace bitaxon::gpu_code
