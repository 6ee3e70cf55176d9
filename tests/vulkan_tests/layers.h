// Functions for validation layers: how to enable them, and which of them the environment enables.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "vulkan/device/functions.h"
#include "vulkan_tests/environment.h"

namespace bitaxon::test {

inline constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";
/// Values of VK_LAYER_ENABLES that enable checks in addition to the core checks. CMakeLists.txt has
/// the same values.
inline constexpr const char* kSynchronization =
    "VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT:"
    "VALIDATION_CHECK_ENABLE_SYNCHRONIZATION_VALIDATION_QUEUE_SUBMIT";
inline constexpr const char* kGpuAssisted = "VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_EXT";

/// As long as an object of this class lives, new instances have the validation layer with the
/// checks `enables`. The environment does not matter.
class WithLayer {
 public:
  explicit WithLayer(const char* enables)
      : layer_("VK_INSTANCE_LAYERS", kValidationLayer),
        enables_("VK_LAYER_ENABLES", enables),
        shader_accesses_("VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC", "1") {}

 private:
  vulkan::test::EnvironmentVariable layer_, enables_, shader_accesses_;
};

inline bool environment_enables(std::string_view what) {
  const char* enables = std::getenv("VK_LAYER_ENABLES");
  return enables != nullptr && std::string_view(enables).find(what) != std::string_view::npos;
}

inline bool any_holds(const std::vector<std::string>& messages, std::string_view fragment) {
  return std::ranges::any_of(messages, [&](const std::string& message) {
    return message.find(fragment) != std::string::npos;
  });
}

/// Whether a message is about the layer itself. Newer layers report which device settings they
/// change for their own needs ("Forcing shaderInt64 to VK_TRUE").
inline bool is_about_the_layer(const std::string& message) {
  return message.find("Internal Warning:") != std::string::npos;
}

/// Works around a bug of the layers (1.3.239). With GPU-assisted validation, the layers do not
/// track submissions. Each query for the value of a timeline semaphore then waits for ten seconds
/// and gives the message "most likely a validation bug". This hook keeps the queries from the
/// layers.
void answer_for_semaphores(vulkan::Functions& functions);

}  // namespace bitaxon::test
