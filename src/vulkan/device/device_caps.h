// The properties and features of a device as a plain record. The backend fills in the record once,
// by queries. Tests use synthetic records.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vulkan/device/functions.h"

namespace bitaxon::vulkan {

enum class DeviceType : std::uint8_t { discrete, integrated, virtual_gpu, cpu, other };
std::string_view name_of(DeviceType type);

struct MemoryHeap {
  std::uint64_t size_bytes = 0;
  std::uint64_t available_bytes = 0;  ///< from VK_EXT_memory_budget; without it, the heap's size;
                                      ///< on CPU devices, the available memory of the system,
                                      ///< because the sizes of their heaps are nominal
  bool device_local = false;
};
struct MemoryType {
  std::uint32_t heap = 0;
  VkMemoryPropertyFlags flags = 0;
};

/// A product D = A B + C that matrix units can compute in subgroup scope. A [m, k] and B [k, n] are
/// float16, C [m, n] and D [m, n] are float32.
struct MatrixShape {
  std::uint32_t m = 0, n = 0, k = 0;
};

struct DeviceCaps {
  std::uint32_t index = 0;  ///< the index of the device in vkEnumeratePhysicalDevices
  std::string name;
  DeviceType type = DeviceType::other;
  std::uint32_t vendor_id = 0;
  std::uint32_t device_id = 0;
  std::uint32_t api_version = 0;  ///< the lower of the device's and the loader's version
  std::uint32_t driver_version = 0;
  std::string driver_name;
  std::string driver_info;
  std::array<std::uint8_t, VK_UUID_SIZE> device_uuid{};
  std::array<std::uint8_t, VK_UUID_SIZE> driver_uuid{};
  std::array<std::uint8_t, VK_UUID_SIZE> cache_uuid{};  ///< pipeline caches contain it
  std::string pci_address;                              ///< such as "0000:65:00.0"; may be empty

  // Requirements of the floor.
  bool buffer_device_address = false;
  bool timeline_semaphore = false;
  bool synchronization2 = false;
  bool scalar_block_layout = false;
  VkSubgroupFeatureFlags subgroup_operations = 0;  ///< operations that compute shaders may use
  std::int32_t compute_queue_family = -1;          ///< -1 if no queue family can compute

  std::uint32_t subgroup_size = 0;
  std::uint32_t min_subgroup_size = 0;  ///< without subgroup_size_control, this and the next are
                                        ///< subgroup_size
  std::uint32_t max_subgroup_size = 0;
  bool subgroup_size_control = false;
  bool full_subgroups = false;

  std::uint64_t max_storage_buffer_bytes = 0;  ///< the largest size of one binding
  std::uint64_t max_allocation_bytes = 0;
  std::uint64_t max_buffer_bytes = 0;
  std::uint32_t max_allocations = 0;
  std::uint32_t max_storage_buffers = 0;  ///< the largest number of bindings of one shader
  std::uint32_t max_push_bytes = 0;
  std::uint32_t max_shared_bytes = 0;
  std::uint32_t max_group_invocations = 0;
  std::array<std::uint32_t, 3> max_group_size{};
  std::array<std::uint32_t, 3> max_group_count{};

  bool timestamps = false;
  std::uint32_t timestamp_bits = 0;  ///< the number of valid bits in a timestamp of the queue
  double timestamp_period_ns = 0;
  bool memory_budget = false;
  bool portability_subset = false;
  std::vector<MatrixShape> matrix_shapes;  ///< from VK_KHR_cooperative_matrix
  /// Why matrix units that the driver offers are not used. Then there are no shapes.
  std::string matrix_refusal;
  /// The largest tile of products with matrix units. 0 if other tiles are used in place of them.
  std::uint32_t matrix_tile = 64;
  /// Whether tiles without matrix units multiply halves, if products may be rounded.
  bool float16_tiles = false;
  bool shader_float16 = false;  ///< use of matrix units needs this and the memory model
  bool storage_16bit = false;
  /// Whether a float16 factor costs nothing in a product with float32: one instruction multiplies a
  /// half of a register by a float32 and adds a float32. Vulkan cannot be asked for this.
  bool mixed_products = false;
  /// Whether more than 64 registers of a lane leave fewer than four subgroups on a SIMD: AMD's GCN,
  /// which has 256 for each lane. Vulkan cannot be asked for this either.
  bool few_registers = false;
  /// The most registers of a lane. Intel's compiler has half of what others have, and spills the rest to
  /// memory. Vulkan cannot be asked for this either.
  std::uint32_t lane_registers = 256;
  /// Whether one instruction multiplies two pairs of halves, or does the work of two instructions for
  /// float32. Vulkan cannot be asked for this.
  bool packed_halves = false;
  /// Whether the compiler keeps both a weight of float16 and its float32 value, so that large tiles of
  /// halves do not fit into its registers: seen with RADV of Mesa 22.3, not with that of Mesa 25.
  bool doubles_float16 = false;
  bool integer_dots = false;  ///< dot products of four bytes
  /// Whether a dot product of four bytes costs no more than one product.
  bool fast_integer_dots = false;
  bool memory_model = false;  ///< true only if the memory model includes device scope

  std::vector<MemoryHeap> heaps;
  std::vector<MemoryType> memory_types;
  std::vector<std::string> extensions;

  bool has_extension(std::string_view extension) const;
};

/// Queries everything in DeviceCaps. Throws Error(device) when a call fails.
DeviceCaps query_caps(const Functions& fn, VkPhysicalDevice physical, std::uint32_t index);
/// The heaps with their available memory at this moment.
std::vector<MemoryHeap> query_heaps(const Functions& fn, VkPhysicalDevice physical,
                                    const DeviceCaps& caps);

/// Limits that kernels rely on and that the floor requires. They limit the bindings of one shader,
/// the bytes of push constants, the threads of a workgroup and the bytes of shared memory.
inline constexpr std::uint32_t kMaxBindings = 12;
inline constexpr std::uint32_t kMaxPushBytes = 128;
inline constexpr std::uint32_t kMinGroupInvocations = 128;
inline constexpr std::uint32_t kMinSharedBytes = 16384;

/// The version as text, such as "1.3.230".
std::string version_text(std::uint32_t api_version);
/// The UUID as text, such as "6d657361-3232-2e33-2e36-000000000000".
std::string uuid_text(const std::array<std::uint8_t, VK_UUID_SIZE>& uuid);

}  // namespace bitaxon::vulkan
