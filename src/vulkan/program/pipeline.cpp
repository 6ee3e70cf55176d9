#include "vulkan/program/pipeline.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "bitaxon/error.h"
#include "vulkan/device/result.h"
#include "vulkan/device/structure.h"

namespace bitaxon::vulkan {
namespace {

std::vector<std::uint32_t> key_of(const Launch& launch) {
  std::vector<std::uint32_t> key = {static_cast<std::uint32_t>(launch.shader),
                                    launch.subgroup_size};
  for (const SpecConstant& constant : launch.specialization) {
    key.push_back(constant.id);
    key.push_back(constant.value);
  }
  return key;
}

std::string describe(const Launch& launch) {
  std::string text(name_of(launch.shader));
  for (const SpecConstant& constant : launch.specialization)
    text += fmt::format(" {}={}", constant.id, constant.value);
  return text;
}

}  // namespace

std::string interface_problem(const Launch& launch, const ShaderInterface& interface) {
  if (interface.writable_addresses) return "blocks reached by addresses: expected readonly";
  if (interface.push_bytes != launch.push_bytes)
    return fmt::format("push constants: expected {} bytes, got {}", launch.push_bytes,
                       interface.push_bytes);
  std::vector<std::uint32_t> ids;
  for (const SpecConstant& constant : launch.specialization) ids.push_back(constant.id);
  std::ranges::sort(ids);
  if (ids != interface.constant_ids)
    return fmt::format("specialization constants: expected {}, got {}", ids,
                       interface.constant_ids);
  if (interface.bindings.size() != launch.bindings.size())
    return fmt::format("bindings: expected {}, got {}", launch.bindings.size(),
                       interface.bindings.size());
  for (std::uint32_t i = 0; i < interface.bindings.size(); ++i) {
    if (interface.bindings[i].number != i)
      return fmt::format("bindings: expected binding {}, got {}", i, interface.bindings[i].number);
    const bool writes = launch.bindings[i].access != Access::read;
    if (interface.bindings[i].writable != writes)
      return fmt::format("binding {}: expected {}", i, writes ? "writable" : "readonly");
  }
  return "";
}

const Pipeline& PipelineLibrary::find(const Launch& launch) {
  std::vector<std::uint32_t> key = key_of(launch);
  if (const auto it = pipelines_.find(key); it != pipelines_.end()) return it->second;
  return pipelines_.emplace(std::move(key), make(launch)).first->second;
}

const PipelineLibrary::Module& PipelineLibrary::module_of(Shader shader) {
  if (const auto it = modules_.find(shader); it != modules_.end()) return it->second;
  const std::vector<std::uint32_t> code = source_(shader);
  Module module;
  try {
    module.interface = reflect(code);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("shader {}: {}", name_of(shader), error.what()));
  }
  auto info = structure<VkShaderModuleCreateInfo>(VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO);
  info.codeSize = code.size() * sizeof(std::uint32_t);
  info.pCode = code.data();
  VkShaderModule handle = VK_NULL_HANDLE;
  check(device_.fn().vkCreateShaderModule(device_.handle(), &info, nullptr, &handle),
        "vkCreateShaderModule", name_of(shader));
  module.handle = ShaderModuleHandle(device_, handle);
  return modules_.emplace(shader, std::move(module)).first->second;
}

VkDescriptorSetLayout PipelineLibrary::set_layout_of(std::size_t n_bindings) {
  if (const auto it = set_layouts_.find(n_bindings); it != set_layouts_.end())
    return it->second.get();
  std::vector<VkDescriptorSetLayoutBinding> bindings(n_bindings);
  for (std::uint32_t i = 0; i < n_bindings; ++i) {
    bindings[i].binding = i;
    bindings[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    bindings[i].descriptorCount = 1;
    bindings[i].stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
  }
  auto info = structure<VkDescriptorSetLayoutCreateInfo>(
      VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO);
  info.bindingCount = static_cast<std::uint32_t>(n_bindings);
  info.pBindings = bindings.data();
  VkDescriptorSetLayout handle = VK_NULL_HANDLE;
  check(device_.fn().vkCreateDescriptorSetLayout(device_.handle(), &info, nullptr, &handle),
        "vkCreateDescriptorSetLayout", fmt::format("{} buffers", n_bindings));
  return set_layouts_.emplace(n_bindings, SetLayoutHandle(device_, handle)).first->second.get();
}

Pipeline PipelineLibrary::make(const Launch& launch) {
  const Functions& fn = device_.fn();
  const DeviceCaps& caps = device_.caps();
  const std::string what = describe(launch);
  const Module& module = module_of(launch.shader);
  if (const std::string problem = interface_problem(launch, module.interface); !problem.empty())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("shader {}: {}", name_of(launch.shader), problem));

  Pipeline pipeline;
  pipeline.set_layout = set_layout_of(launch.bindings.size());
  const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, launch.push_bytes};
  auto layout_info =
      structure<VkPipelineLayoutCreateInfo>(VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO);
  layout_info.setLayoutCount = 1;
  layout_info.pSetLayouts = &pipeline.set_layout;
  layout_info.pushConstantRangeCount = launch.push_bytes > 0 ? 1 : 0;
  layout_info.pPushConstantRanges = &push;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  check(fn.vkCreatePipelineLayout(device_.handle(), &layout_info, nullptr, &layout),
        "vkCreatePipelineLayout", what);
  pipeline.layout = PipelineLayoutHandle(device_, layout);

  std::vector<VkSpecializationMapEntry> entries;
  std::vector<std::uint32_t> values;
  std::uint32_t group_size = 1;
  for (const SpecConstant& constant : launch.specialization) {
    entries.push_back({constant.id, static_cast<std::uint32_t>(4 * values.size()), 4});
    values.push_back(constant.value);
    if (constant.id == 0) group_size = constant.value;
  }
  const VkSpecializationInfo specialization{static_cast<std::uint32_t>(entries.size()),
                                            entries.data(), 4 * values.size(), values.data()};
  auto info =
      structure<VkComputePipelineCreateInfo>(VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO);
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module.handle.get();
  info.stage.pName = "main";
  info.stage.pSpecializationInfo = &specialization;
  auto required = structure<VkPipelineShaderStageRequiredSubgroupSizeCreateInfo>(
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO);
  required.requiredSubgroupSize = launch.subgroup_size;
  // Without these flags, the driver's compiler may use a subgroup size that differs from
  // gl_SubgroupSize.
  if (caps.subgroup_size_control && launch.subgroup_size != 0) {
    info.stage.pNext = &required;
    info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  } else if (caps.subgroup_size_control && caps.full_subgroups &&
             group_size % caps.max_subgroup_size == 0)
    info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_ALLOW_VARYING_SUBGROUP_SIZE_BIT |
                       VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  info.layout = layout;
  VkPipeline handle = VK_NULL_HANDLE;
  check(fn.vkCreateComputePipelines(device_.handle(), cache_.handle(), 1, &info, nullptr, &handle),
        "vkCreateComputePipelines", what);
  pipeline.pipeline = PipelineHandle(device_, handle);
  device_.set_name(VK_OBJECT_TYPE_PIPELINE, reinterpret_cast<std::uint64_t>(handle), what);
  cache_.mark_changed();
  return pipeline;
}

}  // namespace bitaxon::vulkan
