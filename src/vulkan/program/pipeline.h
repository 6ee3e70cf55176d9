// Compute pipelines, made once for each shader and set of specialization constants.
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

/// The source of shader code: embedded_code(), or a folder of shaders compiled at run time.
using ShaderSource = std::function<std::vector<std::uint32_t>(Shader shader)>;

/// Describes the first mismatch between a launch and its shader, by name and number. Empty if they
/// match.
std::string interface_problem(const Launch& launch, const ShaderInterface& interface);

/// Owns all pipelines of a device. Single-threaded.
class PipelineLibrary {
 public:
  PipelineLibrary(const Device& device, PipelineCache& cache, ShaderSource source)
      : device_(device), cache_(cache), source_(std::move(source)) {}

  /// Makes a pipeline on first use. Throws Error(invalid_argument) when the launch does not fit the
  /// shader, and Error(device) when the driver fails.
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
  std::map<std::size_t, SetLayoutHandle> set_layouts_;  ///< by number of bindings
  std::map<std::vector<std::uint32_t>, Pipeline> pipelines_;
};

}  // namespace bitaxon::vulkan
