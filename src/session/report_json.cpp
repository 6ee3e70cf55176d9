#include "session/report_json.h"

#include "formats/json.h"
#include "model/memory_need.h"

namespace bitaxon {
namespace {

Json to_json(const std::vector<DeviceProperty>& properties) {
  Json json = Json::object();
  for (const DeviceProperty& property : properties) json[property.name] = property.value;
  return json;
}

Json to_json(const DeviceInfo& device) {
  Json json = {{"selector", device.selector},
               {"name", device.name},
               {"type", device.type},
               {"threads", device.n_threads},
               {"instruction_set", device.instruction_set},
               {"memory_total_bytes", device.memory_total_bytes},
               {"memory_available_bytes", device.memory_available_bytes},
               {"usable", device.usable},
               {"chosen_by_auto", device.chosen_by_auto},
               {"reason", device.reason}};
  if (!device.driver_manifest.empty()) json["driver_manifest"] = device.driver_manifest;
  if (device.index < 0) return json;
  json["vulkan_index"] = device.index;
  json["driver"] = device.driver;
  json["api_version"] = device.api_version;
  json["uuid"] = device.uuid;
  json["pci_address"] = device.pci_address;
  json["limits"] = to_json(device.limits);
  json["features"] = to_json(device.features);
  return json;
}

DeviceFit fit_on(const DeviceInfo& device, const ModelSpec& spec,
                 const std::vector<FoundWeight>& weights, const LoadOptions& options) {
  DeviceFit fit{device.selector, {}, {}};
  if (!device.usable) {
    fit.problem = device.reason;
    return fit;
  }
  try {
    fit.need = model_need(spec, weights, options, *device.description).memory;
    if (!fit.need.fits()) fit.problem = problem_of(fit.need);
  } catch (const Error& error) {  // the model is larger than the device can address
    fit.problem = error.what();
  }
  return fit;
}

Json part_json(const PartReport& part) {
  return {
      {"parameters", part.parameters},
      {"bytes_before", part.bytes_before},
      {"bytes_after", part.bytes_after},
      {"relative_error", part.relative_error()},
      {"kept_change", part.kept_change() ? finite_or_null(*part.kept_change()) : Json(nullptr)}};
}

}  // namespace

Json devices_json(const DeviceList& list) {
  Json all = Json::array();
  for (const DeviceInfo& device : list.devices) all.push_back(to_json(device));
  return all;
}

std::vector<DeviceFit> fits_of(const ModelSpec& spec, const std::vector<FoundWeight>& weights,
                               const LoadOptions& options) {
  std::vector<DeviceFit> fits;
  for (const DeviceInfo& device : list_devices())
    fits.push_back(fit_on(device, spec, weights, options));
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

Json rewrite_json(const RewriteReport& report) {
  Json json;
  for (const auto& [name, part] : report.parts) json["parts"][name] = part_json(part);
  json["total"] = part_json(report.total);
  json["total"]["parameters"] = report.n_parameters;
  return json;
}

}  // namespace bitaxon
