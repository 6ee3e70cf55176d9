#include "memory_report.h"

#include <fmt/format.h>

#include "bitaxon/devices.h"
#include "formats/json.h"
#include "model/memory_need.h"
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

DeviceFit fit_on(const DeviceInfo& device, const ModelSpec& spec,
                 const std::vector<FoundWeight>& weights) {
  DeviceFit fit{device.selector, {}, {}};
  if (!device.usable) {
    fit.problem = device.reason;
    return fit;
  }
  try {
    fit.need = model_need(spec, weights, {}, *device.description).memory;
    if (!fit.need.fits()) fit.problem = problem_of(fit.need);
  } catch (const Error& error) {  // the model is larger than the device can address
    fit.problem = error.what();
  }
  return fit;
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

std::vector<DeviceFit> fits_of(const ModelSpec& spec, const std::vector<FoundWeight>& weights) {
  std::vector<DeviceFit> fits;
  for (const DeviceInfo& device : list_devices()) fits.push_back(fit_on(device, spec, weights));
  return fits;
}

Json fit_json(const DeviceFit& fit) {
  Json memory = Json::array();
  for (const MemoryRow& row : fit.need.rows) {
    Json parts = Json::object();
    for (const MemoryRow::Part& part : row.parts) parts[part.purpose] = part.bytes;
    memory.push_back(
        {{"kind", row.kind},
         {"needed_bytes", row.needed_bytes()},
         {"available_bytes", row.available_bytes ? Json(*row.available_bytes) : Json()},
         {"parts", parts}});
  }
  return {{"selector", fit.selector},
          {"fits", fit.problem.empty()},
          {"memory", memory},
          {"problem", fit.problem}};
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
