#include "platform/nvml.h"

#include <span>

#include "bitaxon/error.h"

namespace bitaxon {
namespace {

constexpr int kSuccess = 0;         // NVML_SUCCESS
constexpr int kSensorOfTheGpu = 0;  // NVML_TEMPERATURE_GPU

DynamicLibrary open_if_there(const std::string& name) {
  try {
    return DynamicLibrary(std::span(&name, 1));
  } catch (const Error&) {
    return {};
  }
}

template <typename Function>
Function* find(const DynamicLibrary& library, const char* name) {
  return reinterpret_cast<Function*>(library.find(name));
}

}  // namespace

Nvml::Nvml(const std::string& library) : library_(open_if_there(library)) {
  auto* const start = find<int()>(library_, "nvmlInit_v2");
  auto* const shutdown = find<Shutdown>(library_, "nvmlShutdown");
  find_device_ = find<FindDevice>(library_, "nvmlDeviceGetHandleByPciBusId_v2");
  read_temperature_ = find<ReadTemperature>(library_, "nvmlDeviceGetTemperature");
  const bool is_complete = start != nullptr && shutdown != nullptr && find_device_ != nullptr &&
                           read_temperature_ != nullptr;
  if (is_complete && start() == kSuccess) shutdown_ = shutdown;
}

Nvml::~Nvml() {
  if (shutdown_ != nullptr) shutdown_();
}

std::optional<double> Nvml::temperature(const std::string& address) const {
  Device* device = nullptr;
  unsigned celsius = 0;
  if (shutdown_ == nullptr || find_device_(address.c_str(), &device) != kSuccess ||
      read_temperature_(device, kSensorOfTheGpu, &celsius) != kSuccess)
    return std::nullopt;
  return celsius;
}

}  // namespace bitaxon
