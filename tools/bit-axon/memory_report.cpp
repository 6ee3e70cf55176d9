#include "memory_report.h"

#include <fmt/format.h>

#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

std::string available_text(const MemoryRow& row) {
  return row.available_bytes ? bytes_text(*row.available_bytes) : "not known";
}

std::string row_text(const MemoryRow& row) {
  std::string text = fmt::format("{} of {} needed, {} available", bytes_text(row.needed_bytes()),
                                 row.kind, available_text(row));
  if (row.available_bytes && row.fits())
    text += fmt::format(", {} left", bytes_text(*row.available_bytes - row.needed_bytes()));
  else if (row.available_bytes)
    text += fmt::format(", {} too much", bytes_text(row.needed_bytes() - *row.available_bytes));
  return text;
}

}  // namespace

std::string table_of(const MemoryNeed& need) {
  constexpr const char* kLine = "  {:<20}{:>12}{:>14}\n";
  std::string table = fmt::format(kLine, "memory", "needed", "available");
  for (const MemoryRow& row : need.rows) {
    table += fmt::format(kLine, row.kind, bytes_text(row.needed_bytes()), available_text(row));
    for (const MemoryRow::Part& part : row.parts)
      table += fmt::format("    {:<18}{:>12}\n", part.purpose, bytes_text(part.bytes));
  }
  return table;
}

std::string fit_text(const DeviceFit& fit) {
  std::string text = fit.problem.empty() ? "yes" : "no";
  const char* separator = ": ";
  for (const MemoryRow& row : fit.need.rows) {
    text += separator + row_text(row);
    separator = "; ";
  }
  // The rows already say which memory is short.
  if (fit.need.rows.empty())
    text += separator + fit.problem;
  else if (!fit.need.too_large.empty())
    text += separator + fit.need.too_large;
  return text;
}

}  // namespace bitaxon::tool
