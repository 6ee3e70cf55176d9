#include "bitaxon/devices.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "bitaxon/error.h"
#include "devices/factories.h"

namespace bitaxon {
namespace {

/// A backend that the project has and this build lacks.
struct MissingBackend {
  std::string name;
  std::vector<std::string> selectors;
};

struct Backends {
  std::vector<BackendFactory> built = {
#define BX_BACKEND(name) name##_factory(),
#define BX_MISSING_BACKEND(name, ...)
#include "devices/backend_list.inc"
#undef BX_BACKEND
#undef BX_MISSING_BACKEND
  };
  std::vector<MissingBackend> missing = {
#define BX_BACKEND(name)
#define BX_MISSING_BACKEND(name, ...) {#name, {__VA_ARGS__}},
#include "devices/backend_list.inc"
#undef BX_BACKEND
#undef BX_MISSING_BACKEND
  };
};

Backends& backends() {
  static Backends all;
  return all;
}

/// Whether `selector` has the form of a pattern such as "cpu" or "vulkan[:SEL]".
bool has_form(const std::string& selector, const std::string& pattern) {
  const std::size_t optional = pattern.find("[:");
  if (optional == std::string::npos) return selector == pattern;
  const std::string prefix = pattern.substr(0, optional);
  return selector == prefix ||
         (selector.starts_with(prefix + ":") &&
          selector.find_first_not_of(" \t", prefix.size() + 1) != std::string::npos);
}

bool takes(const std::vector<std::string>& patterns, const std::string& selector) {
  return std::ranges::any_of(
      patterns, [&](const std::string& pattern) { return has_form(selector, pattern); });
}

const BackendFactory* factory_of(const std::string& selector) {
  for (const BackendFactory& factory : backends().built)
    if (takes(factory.selectors, selector)) return &factory;
  return nullptr;
}

/// The missing backend that `selector` belongs to, or null.
const MissingBackend* missing_backend_of(const std::string& selector) {
  for (const MissingBackend& missing : backends().missing)
    if (takes(missing.selectors, selector)) return &missing;
  return nullptr;
}

std::shared_ptr<Backend> open_named(const std::string& selector, const OpenOptions& options) {
  if (const BackendFactory* factory = factory_of(selector)) return factory->open(selector, options);
  throw Error(ErrorKind::unsupported,
              fmt::format("device {}: this build has no {} backend; it has {}", selector,
                          missing_backend_of(selector)->name, fmt::join(built_backends(), ", ")));
}

/// Lets "auto" choose `last`, the last resort, when no other backend has a device for "auto".
void settle_auto(DeviceList& list, DeviceInfo& last) {
  const auto gpu = std::ranges::find_if(list.devices, &DeviceInfo::chosen_by_auto);
  if (gpu != list.devices.end()) {
    last.reason = fmt::format("{} is preferred: it is a GPU", gpu->selector);
    return;
  }
  last.chosen_by_auto = true;
  last.reason = list.note.empty() ? "no GPU that can be used" : list.note;
}

}  // namespace

void register_backend(const BackendFactory& factory) {
  for (BackendFactory& known : backends().built)
    if (known.name == factory.name) {
      known = factory;
      return;
    }
  backends().built.push_back(factory);
}

DeviceList find_devices() {
  DeviceList all;
  std::optional<std::size_t> last_resort;
  for (const BackendFactory& factory : backends().built) {
    DeviceList some = factory.list();
    if (factory.is_last_resort && !some.devices.empty()) last_resort = all.devices.size();
    for (DeviceInfo& device : some.devices) all.devices.push_back(std::move(device));
    if (!some.note.empty()) all.note = some.note;
    if (!some.warning.empty()) all.warning = some.warning;
  }
  if (std::ranges::all_of(backends().built, &BackendFactory::is_last_resort))
    all.note = "this build has no GPU backend";
  if (last_resort) settle_auto(all, all.devices[*last_resort]);
  return all;
}

std::vector<DeviceInfo> list_devices() { return find_devices().devices; }

std::vector<std::string> built_backends() {
  std::vector<std::string> names;
  for (const BackendFactory& factory : backends().built)
    names.insert(names.end(), factory.selectors.begin(), factory.selectors.end());
  return names;
}

std::optional<std::string> selector_problem(const std::string& selector) {
  if (selector == "auto" || factory_of(selector) != nullptr ||
      missing_backend_of(selector) != nullptr)
    return std::nullopt;
  std::vector<std::string> known = {"auto"};
  for (const BackendFactory& factory : backends().built)
    known.insert(known.end(), factory.selectors.begin(), factory.selectors.end());
  for (const MissingBackend& missing : backends().missing)
    known.insert(known.end(), missing.selectors.begin(), missing.selectors.end());
  const std::string last = known.back();
  known.pop_back();
  return fmt::format("expected {} or {}, got \"{}\"", fmt::join(known, ", "), last, selector);
}

std::string resolve_device(const std::string& selector) {
  if (selector == "auto")
    for (const DeviceInfo& device : list_devices())
      if (device.chosen_by_auto) return device.selector;
  const BackendFactory* factory = factory_of(selector);
  return factory != nullptr ? factory->resolve(selector) : selector;
}

OpenedDevice open_device(const std::string& selector, const OpenOptions& options) {
  if (const auto problem = selector_problem(selector))
    throw Error(ErrorKind::invalid_argument, "device: " + *problem);
  if (selector != "auto") return {open_named(selector, options), ""};
  const DeviceList list = find_devices();
  for (const DeviceInfo& device : list.devices)
    if (device.chosen_by_auto)
      return {open_named(device.selector, options),
              list.warning.empty() ? device.reason
                                   : fmt::format("{}; warning: {}", device.reason, list.warning)};
  throw Error(
      ErrorKind::unsupported,
      fmt::format("device auto: no device of this machine can be used{}{}; this build has {}",
                  list.note.empty() ? "" : ": ", list.note, fmt::join(built_backends(), ", ")));
}

}  // namespace bitaxon
