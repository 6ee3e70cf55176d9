// A table of pointers to the Vulkan functions that this project uses. The program is not linked to
// the loader library, but opens it at run time. Tests replace pointers in the table.
#pragma once

#include "vulkan/device/cooperative_matrix.h"

namespace bitaxon::vulkan {

#define BX_VK_GLOBAL_FUNCTIONS(X)           \
  X(vkEnumerateInstanceVersion)             \
  X(vkEnumerateInstanceExtensionProperties) \
  X(vkEnumerateInstanceLayerProperties)     \
  X(vkCreateInstance)

#define BX_VK_INSTANCE_FUNCTIONS(X)            \
  X(vkDestroyInstance)                         \
  X(vkEnumeratePhysicalDevices)                \
  X(vkGetPhysicalDeviceProperties2)            \
  X(vkGetPhysicalDeviceFeatures2)              \
  X(vkGetPhysicalDeviceMemoryProperties2)      \
  X(vkGetPhysicalDeviceQueueFamilyProperties2) \
  X(vkEnumerateDeviceExtensionProperties)      \
  X(vkGetDeviceProcAddr)                       \
  X(vkCreateDevice)

/// Functions of an instance extension. The pointers are null if the instance lacks the extension.
#define BX_VK_OPTIONAL_INSTANCE_FUNCTIONS(X) \
  X(vkCreateDebugUtilsMessengerEXT)          \
  X(vkDestroyDebugUtilsMessengerEXT)         \
  X(vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)

#define BX_VK_DEVICE_FUNCTIONS(X)   \
  X(vkDestroyDevice)                \
  X(vkGetDeviceQueue)               \
  X(vkDeviceWaitIdle)               \
  X(vkAllocateMemory)               \
  X(vkFreeMemory)                   \
  X(vkMapMemory)                    \
  X(vkCreateBuffer)                 \
  X(vkDestroyBuffer)                \
  X(vkGetBufferMemoryRequirements2) \
  X(vkBindBufferMemory)             \
  X(vkGetBufferDeviceAddress)       \
  X(vkCreateShaderModule)           \
  X(vkDestroyShaderModule)          \
  X(vkCreatePipelineCache)          \
  X(vkDestroyPipelineCache)         \
  X(vkGetPipelineCacheData)         \
  X(vkCreatePipelineLayout)         \
  X(vkDestroyPipelineLayout)        \
  X(vkCreateComputePipelines)       \
  X(vkDestroyPipeline)              \
  X(vkCreateDescriptorSetLayout)    \
  X(vkDestroyDescriptorSetLayout)   \
  X(vkCreateDescriptorPool)         \
  X(vkDestroyDescriptorPool)        \
  X(vkAllocateDescriptorSets)       \
  X(vkUpdateDescriptorSets)         \
  X(vkCreateCommandPool)            \
  X(vkDestroyCommandPool)           \
  X(vkAllocateCommandBuffers)       \
  X(vkBeginCommandBuffer)           \
  X(vkEndCommandBuffer)             \
  X(vkCmdBindPipeline)              \
  X(vkCmdBindDescriptorSets)        \
  X(vkCmdPushConstants)             \
  X(vkCmdDispatch)                  \
  X(vkCmdDispatchIndirect)          \
  X(vkCmdCopyBuffer)                \
  X(vkCmdResetQueryPool)            \
  X(vkCreateQueryPool)              \
  X(vkDestroyQueryPool)             \
  X(vkGetQueryPoolResults)          \
  X(vkCreateSemaphore)              \
  X(vkDestroySemaphore)             \
  X(vkWaitSemaphores)               \
  X(vkGetSemaphoreCounterValue)

/// Core functions of Vulkan 1.3. Before 1.3, their names end in KHR.
#define BX_VK_SYNCHRONIZATION2_FUNCTIONS(X) \
  X(vkCmdPipelineBarrier2)                  \
  X(vkCmdWriteTimestamp2)                   \
  X(vkQueueSubmit2)

/// Functions of an instance extension that take objects of a device. The pointers are null if the
/// instance lacks the extension.
#define BX_VK_OPTIONAL_DEVICE_FUNCTIONS(X) \
  X(vkSetDebugUtilsObjectNameEXT)          \
  X(vkCmdBeginDebugUtilsLabelEXT)          \
  X(vkCmdEndDebugUtilsLabelEXT)

struct Functions {
  PFN_vkGetInstanceProcAddr vkGetInstanceProcAddr = nullptr;
#define BX_VK_MEMBER(name) PFN_##name name = nullptr;
  BX_VK_GLOBAL_FUNCTIONS(BX_VK_MEMBER)
  BX_VK_INSTANCE_FUNCTIONS(BX_VK_MEMBER)
  BX_VK_OPTIONAL_INSTANCE_FUNCTIONS(BX_VK_MEMBER)
  BX_VK_DEVICE_FUNCTIONS(BX_VK_MEMBER)
  BX_VK_SYNCHRONIZATION2_FUNCTIONS(BX_VK_MEMBER)
  BX_VK_OPTIONAL_DEVICE_FUNCTIONS(BX_VK_MEMBER)
#undef BX_VK_MEMBER
};

/// A function that tests use to replace pointers in the table. It is called three times: after the
/// global, the instance and the device functions have been loaded. At that time, no function of the
/// group that was just loaded has been called.
using FunctionsHook = void (*)(Functions& functions);

}  // namespace bitaxon::vulkan
