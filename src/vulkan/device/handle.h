// Handles that own Vulkan objects.
#pragma once

#include <utility>

#include "vulkan/device/device.h"

namespace bitaxon::vulkan {

/// Owns one Vulkan object of type T and can be moved but not copied. `destroy` is the member of
/// Functions that destroys a T. The device must outlive the handle.
template <class T, auto destroy>
class Handle {
 public:
  Handle() = default;
  Handle(const Device& device, T handle) : device_(&device), handle_(handle) {}
  Handle(Handle&& other) noexcept
      : device_(other.device_), handle_(std::exchange(other.handle_, T(VK_NULL_HANDLE))) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Handle() {
    if (handle_ != VK_NULL_HANDLE) (device_->fn().*destroy)(device_->handle(), handle_, nullptr);
  }
  T get() const { return handle_; }
  explicit operator bool() const { return handle_ != VK_NULL_HANDLE; }

 private:
  const Device* device_ = nullptr;
  T handle_ = VK_NULL_HANDLE;
};

using BufferHandle = Handle<VkBuffer, &Functions::vkDestroyBuffer>;
using MemoryHandle = Handle<VkDeviceMemory, &Functions::vkFreeMemory>;
using ShaderModuleHandle = Handle<VkShaderModule, &Functions::vkDestroyShaderModule>;
using PipelineHandle = Handle<VkPipeline, &Functions::vkDestroyPipeline>;
using PipelineLayoutHandle = Handle<VkPipelineLayout, &Functions::vkDestroyPipelineLayout>;
using PipelineCacheHandle = Handle<VkPipelineCache, &Functions::vkDestroyPipelineCache>;
using SetLayoutHandle = Handle<VkDescriptorSetLayout, &Functions::vkDestroyDescriptorSetLayout>;
using DescriptorPoolHandle = Handle<VkDescriptorPool, &Functions::vkDestroyDescriptorPool>;
using CommandPoolHandle = Handle<VkCommandPool, &Functions::vkDestroyCommandPool>;
using QueryPoolHandle = Handle<VkQueryPool, &Functions::vkDestroyQueryPool>;
using SemaphoreHandle = Handle<VkSemaphore, &Functions::vkDestroySemaphore>;

}  // namespace bitaxon::vulkan
