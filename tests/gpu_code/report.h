// The table of kernels: one row for each kernel, format and number of rows, with the worst figures
// of its pipelines.
#pragma once

#include <string>
#include <vector>

#include "formats/json.h"
#include "gpu_code/compile_all.h"

namespace bitaxon::gpu_code {

struct ReportRow {
  KernelFacts facts;
  int n_pipelines = 0;
  std::vector<std::string> crashed = {};  ///< constants of the pipelines that crash the compiler
  /// The largest of each figure; of "waves" and "efficiency" the smallest; of "crashes" the sum.
  Figures figures;
  /// The constants of the pipeline that the rest is about: the one whose main loop has the most
  /// vector instructions.
  std::string constants;
  PipelineCode code;
  Executed turn;  ///< of its main loop
};

/// Rows sorted by kernel, format and rows.
std::vector<ReportRow> report_rows(const FamilyCode& family);

/// The table as text.
std::string report_text(const FamilyCode& family, const std::vector<ReportRow>& rows);
Json report_json(const FamilyCode& family, const std::vector<ReportRow>& rows);

/// Whether a smaller number of this figure is worse.
bool smaller_is_worse(const std::string& figure);

}  // namespace bitaxon::gpu_code
