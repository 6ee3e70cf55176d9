// Makes compute pipelines. There is one pipeline for each shader and set of specialization
// constants.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "vulkan/device/handle.h"
#include "vulkan/program/pipeline_cache.h"
#include "vulkan/program/spirv_reflection.h"
#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

struct Pipeline {
  PipelineLayoutHandle layout;
  PipelineHandle pipeline;
  VkDescriptorSetLayout set_layout = VK_NULL_HANDLE;
};

/// A function that returns the SPIR-V of a shader. The SPIR-V comes from embedded_code(), or from a
/// folder of shaders that are compiled at run time.
using ShaderSource = std::function<std::vector<std::uint32_t>(Shader shader)>;

/// Describes the first mismatch between a launch and the interface of its shader, with the expected
/// value and the actual value. Empty if both match.
std::string interface_problem(const Launch& launch, const ShaderInterface& interface);

/// Owns all pipelines of a device. May be used by one thread only.
class PipelineLibrary {
 public:
  PipelineLibrary(const Device& device, PipelineCache& cache, ShaderSource source)
      : device_(device), cache_(cache), source_(std::move(source)) {}

  /// Returns the pipeline for a launch. Makes the pipeline on first use. Throws
  /// Error(invalid_argument) if the launch does not match its shader, and Error(device) if the
  /// driver fails.
  const Pipeline& find(const Launch& launch);

 private:
  struct Module {
    ShaderModuleHandle handle;
    ShaderInterface interface;
  };
  const Module& module_of(Shader shader);
  VkDescriptorSetLayout set_layout_of(std::size_t n_bindings);
  Pipeline make(const Launch& launch);

  const Device& device_;
  PipelineCache& cache_;
  ShaderSource source_;
  std::map<Shader, Module> modules_;
  std::map<std::size_t, SetLayoutHandle> set_layouts_;  ///< by the number of bindings of a shader
  std::map<std::vector<std::uint32_t>, Pipeline> pipelines_;
};

}  // namespace bitaxon::vulkan
