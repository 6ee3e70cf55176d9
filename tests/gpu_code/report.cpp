#include "gpu_code/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace bitaxon::gpu_code {
namespace {

void merge(Figures& into, const Figures& more) {
  for (const auto& [name, value] : more) {
    const auto [place, is_new] = into.emplace(name, value);
    if (is_new) continue;
    if (name == "crashes")
      place->second += value;
    else if (smaller_is_worse(name))
      place->second = std::min(place->second, value);
    else
      place->second = std::max(place->second, value);
  }
}

void add(ReportRow& row, const NeededPipeline& needed, const PipelineCode& code) {
  ++row.n_pipelines;
  merge(row.figures, figures_of(code, needed.facts));
  if (code.crashed) {
    row.crashed.push_back(constants_text(needed.launch));
    return;
  }
  const Executed turn = main_turn(code, needed.facts);
  if (row.code.subgroup_size != 0 && turn.vector <= row.turn.vector) return;
  row.code = code;
  row.turn = turn;
  row.constants = constants_text(needed.launch);
}

std::string figure_text(const Figures& figures, const char* name, int digits) {
  const auto found = figures.find(name);
  return found == figures.end() ? "-" : fmt::format("{:.{}f}", found->second, digits);
}

constexpr const char* kLine =
    "{:<22} {:<12} {:>4} {:>5} {:>6} {:>6} {:>5} {:>7} {:>6} {:>6} {:>5} {:>5} {:>5} {:>5} {:>5} "
    "{:>5} "
    "{:>6}\n";

}  // namespace

bool smaller_is_worse(const std::string& figure) {
  return figure == "waves" || figure == "efficiency";
}

std::vector<ReportRow> report_rows(const FamilyCode& family) {
  std::map<std::tuple<std::string, std::string, std::uint32_t>, ReportRow> rows;
  for (std::size_t i = 0; i < family.codes.size(); ++i) {
    const NeededPipeline& needed = family.pipelines[i];
    ReportRow& row = rows[needed.facts.key()];
    row.facts = needed.facts;
    add(row, needed, family.codes[i]);
  }
  std::vector<ReportRow> sorted;
  for (auto& [key, row] : rows) sorted.push_back(std::move(row));
  return sorted;
}

std::string report_text(const FamilyCode& family, const std::vector<ReportRow>& rows) {
  std::string text =
      fmt::format("{} ({}), {} pipelines\n", family.family, family.driver, family.pipelines.size());
  text += fmt::format(fmt::runtime(kLine), "kernel", "format", "rows", "pipes", "loop", "all in",
                      "eff", "per row", "vector", "scalar", "local", "mem", "vgpr", "spill",
                      "waves", "crash", "bytes");
  for (const ReportRow& row : rows) {
    const auto whole = [](double n) { return std::llround(n); };
    text += fmt::format(
        fmt::runtime(kLine), row.facts.kernel, row.facts.format, row.facts.rows, row.n_pipelines,
        figure_text(row.figures, "loop", 2), figure_text(row.figures, "all_in", 2),
        figure_text(row.figures, "efficiency", 2), figure_text(row.figures, "per_row", 1),
        whole(row.turn.vector), whole(row.turn.scalar), whole(row.turn.local),
        whole(row.turn.memory), row.code.registers, figure_text(row.figures, "spilled", 0),
        figure_text(row.figures, "waves", 0), figure_text(row.figures, "crashes", 0),
        row.code.code_bytes);
  }
  return text;
}

Json report_json(const FamilyCode& family, const std::vector<ReportRow>& rows) {
  Json kernels = Json::array();
  for (const ReportRow& row : rows) {
    Json figures = Json::object();
    for (const auto& [name, value] : row.figures) figures[name] = value;
    kernels.push_back({{"kernel", row.facts.kernel},
                       {"format", row.facts.format},
                       {"rows", row.facts.rows},
                       {"pipelines", row.n_pipelines},
                       {"figures", std::move(figures)},
                       {"crashed", row.crashed},
                       {"constants", row.constants},
                       {"subgroup_size", row.code.subgroup_size},
                       {"vector_registers", row.code.registers},
                       {"scalar_registers", row.code.scalar_registers},
                       {"shared_bytes", row.code.shared_bytes},
                       {"code_bytes", row.code.code_bytes},
                       {"loop",
                        {{"weights", row.turn.weights},
                         {"vector", row.turn.vector},
                         {"products", row.turn.products},
                         {"scalar", row.turn.scalar},
                         {"local", row.turn.local},
                         {"memory", row.turn.memory}}}});
  }
  return {{"family", family.family},
          {"driver", family.driver},
          {"pipelines", family.pipelines.size()},
          {"kernels", std::move(kernels)}};
}

}  // namespace bitaxon::gpu_code
