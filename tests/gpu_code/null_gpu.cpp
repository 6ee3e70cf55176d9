#include "gpu_code/null_gpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "bitaxon/error.h"
#include "platform/printable.h"
#include "vulkan/device/device.h"
#include "vulkan/device/enumerate.h"
#include "vulkan/device/structure.h"
#include "vulkan/program/pipeline.h"
#include "vulkan/program/shader_source.h"

namespace bitaxon::gpu_code {
namespace {

/// The functions of the driver that the replacements below call, and the device of this thread.
struct Driver {
  PFN_vkCreateDevice create_device = nullptr;
  PFN_vkCreateComputePipelines create_pipelines = nullptr;
  PFN_vkGetPipelineExecutablePropertiesKHR properties = nullptr;
  PFN_vkGetPipelineExecutableStatisticsKHR statistics = nullptr;
  PFN_vkGetPipelineExecutableInternalRepresentationsKHR representations = nullptr;
  VkDevice device = VK_NULL_HANDLE;
  bool with_assembly = true;
  /// The code of the pipeline that was created last.
  DriverCode code;
};
thread_local Driver driver;

template <class Function>
void find_function(const vulkan::Functions& functions, const char* name, Function& function) {
  function = reinterpret_cast<Function>(functions.vkGetDeviceProcAddr(driver.device, name));
}

/// Creates the device with the extension that describes compiled pipelines.
VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical,
                                             const VkDeviceCreateInfo* info,
                                             const VkAllocationCallbacks* callbacks,
                                             VkDevice* device) {
  std::vector<const char*> extensions(info->ppEnabledExtensionNames,
                                      info->ppEnabledExtensionNames + info->enabledExtensionCount);
  extensions.push_back(VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
  auto feature = vulkan::structure<VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR);
  feature.pNext = const_cast<void*>(info->pNext);
  feature.pipelineExecutableInfo = VK_TRUE;
  VkDeviceCreateInfo with = *info;
  with.pNext = &feature;
  with.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
  with.ppEnabledExtensionNames = extensions.data();
  const VkResult result = driver.create_device(physical, &with, callbacks, device);
  if (result == VK_SUCCESS) driver.device = *device;
  return result;
}

std::uint64_t number_of(const VkPipelineExecutableStatisticKHR& statistic) {
  switch (statistic.format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
      return statistic.value.b32;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR:
      return static_cast<std::uint64_t>(statistic.value.f64);
    default:
      return statistic.value.u64;
  }
}

std::string text_of(const VkPipelineExecutableInfoKHR& which) {
  std::uint32_t n = 0;
  vulkan::check(driver.representations(driver.device, &which, &n, nullptr),
                "vkGetPipelineExecutableInternalRepresentationsKHR", "pipeline");
  if (n == 0) return "";
  std::vector<VkPipelineExecutableInternalRepresentationKHR> forms(
      n, vulkan::structure<VkPipelineExecutableInternalRepresentationKHR>(
             VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR));
  vulkan::check(driver.representations(driver.device, &which, &n, forms.data()),
                "vkGetPipelineExecutableInternalRepresentationsKHR", "pipeline");
  // The machine code is the last form. The driver copies only those whose memory is there.
  std::string text(forms.back().dataSize, '\0');
  forms.back().pData = text.data();
  vulkan::check(driver.representations(driver.device, &which, &n, forms.data()),
                "vkGetPipelineExecutableInternalRepresentationsKHR", "pipeline");
  text.resize(text.find('\0') == std::string::npos ? text.size() : text.find('\0'));
  return text;
}

DriverCode code_of(VkPipeline pipeline) {
  auto info = vulkan::structure<VkPipelineInfoKHR>(VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR);
  info.pipeline = pipeline;
  const auto programs = vulkan::enumerate<VkPipelineExecutablePropertiesKHR>(
      "vkGetPipelineExecutablePropertiesKHR", "pipeline",
      [&](std::uint32_t* n, VkPipelineExecutablePropertiesKHR* items) {
        return driver.properties(driver.device, &info, n, items);
      },
      vulkan::structure<VkPipelineExecutablePropertiesKHR>(
          VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR));
  DriverCode code;
  if (programs.empty()) return code;
  code.subgroup_size = programs[0].subgroupSize;
  auto which = vulkan::structure<VkPipelineExecutableInfoKHR>(
      VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR);
  which.pipeline = pipeline;
  for (const auto& statistic : vulkan::enumerate<VkPipelineExecutableStatisticKHR>(
           "vkGetPipelineExecutableStatisticsKHR", "pipeline",
           [&](std::uint32_t*n, VkPipelineExecutableStatisticKHR*items) {
             return driver.statistics(driver.device, &which, n, items);
           },
           vulkan::structure<VkPipelineExecutableStatisticKHR>(
               VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR)))
    code.statistics[statistic.name] = number_of(statistic);
  if (driver.with_assembly) code.assembly = text_of(which);
  return code;
}

/// Creates a pipeline and asks the driver for its code.
VKAPI_ATTR VkResult VKAPI_CALL create_pipelines(VkDevice device, VkPipelineCache, std::uint32_t n,
                                                const VkComputePipelineCreateInfo* infos,
                                                const VkAllocationCallbacks* callbacks,
                                                VkPipeline* pipelines) {
  std::vector<VkComputePipelineCreateInfo> with(infos, infos + n);
  for (VkComputePipelineCreateInfo& info : with) {
    info.flags |= VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
    if (driver.with_assembly)
      info.flags |= VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR;
  }
  // A pipeline from a cache would come without its code.
  const VkResult result =
      driver.create_pipelines(device, VK_NULL_HANDLE, n, with.data(), callbacks, pipelines);
  if (result == VK_SUCCESS) driver.code = code_of(pipelines[n - 1]);
  return result;
}

void replace_functions(vulkan::Functions& functions) {
  if (functions.vkCreateDevice != nullptr && functions.vkCreateDevice != create_device) {
    driver.create_device = functions.vkCreateDevice;
    functions.vkCreateDevice = create_device;
  }
  if (functions.vkCreateComputePipelines == nullptr ||
      functions.vkCreateComputePipelines == create_pipelines)
    return;
  driver.create_pipelines = functions.vkCreateComputePipelines;
  functions.vkCreateComputePipelines = create_pipelines;
  find_function(functions, "vkGetPipelineExecutablePropertiesKHR", driver.properties);
  find_function(functions, "vkGetPipelineExecutableStatisticsKHR", driver.statistics);
  find_function(functions, "vkGetPipelineExecutableInternalRepresentationsKHR",
                driver.representations);
}

std::string_view chip_of(std::string_view family) {
  return family.substr(family.find(':') + 1);  // all of it, if there is no colon
}

/// The beginning of the name of the driver's manifest.
const char* manifest_of(Vendor vendor) {
  switch (vendor) {
    case Vendor::intel:
      return "intel_icd";
    case Vendor::nvidia:
      return "nouveau_icd";
    default:
      return "radeon_icd";
  }
}

vulkan::Drivers only_driver_of(Vendor vendor) {
  const char* const name = manifest_of(vendor);
  for (const char* folder : {"/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"}) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
      if (entry.path().filename().string().starts_with(name)) {
        vulkan::Drivers drivers;
        drivers.manifests = {entry.path()};
        drivers.with_layers = false;
        return drivers;
      }
  }
  throw Error(ErrorKind::unsupported,
              fmt::format("expected a driver of Mesa ({}*.json in /usr/share/vulkan/icd.d), found "
                          "none: install mesa-vulkan-drivers",
                          name));
}

/// The device, with what null hardware lacks and plans are made from: memory, and semaphores that
/// steps are counted with.
vulkan::Instance::PhysicalDevice completed(const vulkan::Instance& instance,
                                           const std::string& family) {
  if (instance.devices().size() != 1)
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: expected one device, got {}{}", family, instance.devices().size(),
                            vendor_of(family) == Vendor::amd
                                ? ""
                                : "; tests/drivers/run preloads the stub kernel that it needs"));
  vulkan::Instance::PhysicalDevice device = instance.devices()[0];
  constexpr std::uint64_t kHeapBytes = std::uint64_t{64} << 30;
  device.caps.timeline_semaphore = true;
  device.caps.memory_budget = false;
  device.caps.type = vulkan::DeviceType::discrete;
  device.caps.heaps = {{kHeapBytes, kHeapBytes, true}, {kHeapBytes, kHeapBytes, false}};
  device.caps.memory_types = {
      {0, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT},
      {1, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT}};
  return device;
}

/// Mesa's stub kernels read the chip when the program starts, so it cannot be set here.
void expect_chip(const std::string& family, const char* variable) {
  const char* const value = std::getenv(variable);
  if (value == nullptr || chip_of(family) != value)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("{}: expected the environment variable {}={} for the stub kernel "
                            "(tests/drivers/run sets it), got {}",
                            printable(family), variable, printable(chip_of(family)),
                            value == nullptr ? "none" : printable(value)));
}

/// Prepares the environment for the driver. The caches would return pipelines without their code.
bool set_family(const std::string& family) {
  const std::string chip(chip_of(family));
  const auto set = [](const char* name, const char* value) {
    return ::setenv(name, value, 1) == 0;
  };
  const bool is_set = set("MESA_SHADER_CACHE_DISABLE", "true");
  switch (vendor_of(family)) {
    case Vendor::intel:
      expect_chip(family, "INTEL_STUB_GPU_PLATFORM");
      return is_set && set("INTEL_STUB_GPU", "1");
    case Vendor::nvidia:
      expect_chip(family, "NOUVEAU_CHIPSET");
      return is_set;
    default:
      // Mesa 26 has a stub kernel in place of null hardware.
      if (std::getenv("AMDGPU_GPU_ID") != nullptr) expect_chip(family, "AMDGPU_GPU_ID");
      return is_set && set("RADV_FORCE_FAMILY", chip.c_str()) && ::unsetenv("RADV_DEBUG") == 0;
  }
}

}  // namespace

Vendor vendor_of(const std::string& family) {
  if (family.starts_with("intel:")) return Vendor::intel;
  return family.starts_with("nvidia:") ? Vendor::nvidia : Vendor::amd;
}

struct NullGpu::Impl {
  Impl(const std::string& family, const std::filesystem::path& shader_dir)
      : is_set(set_family(family)),
        instance(replace_functions, nullptr, vulkan::default_loader_names(),
                 only_driver_of(vendor_of(family))),
        device(instance, completed(instance, family)),
        cache(device, {}),
        pipelines(device, cache, vulkan::shader_source(shader_dir)) {}

  bool is_set;
  vulkan::Instance instance;
  vulkan::Device device;
  vulkan::PipelineCache cache;
  vulkan::PipelineLibrary pipelines;
};

NullGpu::NullGpu(const std::string& family, const std::filesystem::path& shader_dir)
    : impl_(std::make_unique<Impl>(family, shader_dir)) {}
NullGpu::~NullGpu() = default;

const vulkan::DeviceCaps& NullGpu::caps() const { return impl_->device.caps(); }

DriverCode NullGpu::compile(const vulkan::Launch& launch, bool with_assembly) {
  driver.with_assembly = with_assembly;
  driver.code = {};
  impl_->pipelines.find(launch);
  return std::move(driver.code);
}

std::vector<std::string> checked_families() { return {"polaris10", "vega10", "navi21", "gfx1100"}; }

}  // namespace bitaxon::gpu_code
