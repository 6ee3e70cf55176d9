// A stand-in for NVIDIA's management library: one device, at 0000:65:00.0, with 61 degrees Celsius.
#include <cstring>

#define BX_EXPORT extern "C" [[gnu::visibility("default")]]

namespace {
int n_starts = 0;
int device = 0;
}  // namespace

BX_EXPORT int nvmlInit_v2() {
  ++n_starts;
  return 0;
}

BX_EXPORT int nvmlShutdown() {
  --n_starts;
  return 0;
}

BX_EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char* address, int** found) {
  if (n_starts == 0) return 1;                              // NVML_ERROR_UNINITIALIZED
  if (std::strcmp(address, "0000:65:00.0") != 0) return 6;  // NVML_ERROR_NOT_FOUND
  *found = &device;
  return 0;
}

BX_EXPORT int nvmlDeviceGetTemperature(int* of, int sensor, unsigned* celsius) {
  if (of != &device || sensor != 0) return 2;  // NVML_ERROR_INVALID_ARGUMENT
  *celsius = 61;
  return 0;
}
