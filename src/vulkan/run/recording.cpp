#include "vulkan/run/recording.h"

#include <algorithm>
#include <cstring>

#include "core/align.h"
#include "core/assert.h"
#include "vulkan/device/result.h"
#include "vulkan/device/structure.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::size_t kGridBytes = 3 * sizeof(std::uint32_t);

constexpr VkPipelineStageFlags2 kStages =
    VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_COPY_BIT;

MemoryAccess access_of(const BoundRange& range) {
  return {reinterpret_cast<std::uint64_t>(range.buffer), range.offset_bytes + range.skipped_bytes,
          range.size_bytes - range.skipped_bytes, range.access};
}

std::vector<MemoryAccess> accesses_of(const BoundLaunch& launch) {
  std::vector<MemoryAccess> accesses;
  for (const BoundRange& range : launch.ranges)
    if (range.buffer != VK_NULL_HANDLE) accesses.push_back(access_of(range));
  if (launch.indirect) accesses.push_back(access_of(*launch.indirect));
  return accesses;
}

}  // namespace

bool BoundLaunch::varies() const {
  return std::ranges::any_of(launch.grid,
                             [](const GridAxis& axis) { return axis.per != RowSpace::none; });
}

std::array<std::uint32_t, 3> groups_of(const Launch& launch, const StepSizes& sizes) {
  std::array<std::uint32_t, 3> groups{};
  for (std::size_t i = 0; i < 3; ++i) {
    const GridAxis& axis = launch.grid[i];
    const auto n = static_cast<std::uint32_t>(rows_in(axis.per, sizes));
    groups[i] =
        axis.per == RowSpace::none ? axis.count : axis.count * divide_up(n, axis.rows_per_group);
  }
  return groups;
}

Recording::Recording(const Device& device, MemoryAllocator& memory,
                     const std::vector<BoundLaunch>& launches,
                     const std::optional<BoundRange>& result, std::size_t table_words,
                     const RecordOptions& options)
    : device_(device), table_words_(table_words) {
  std::size_t size =
      align_up(sizeof(StepHeader) + table_words * sizeof(StepWord), kBufferAlignment);
  for (const BoundLaunch& launch : launches) {
    grid_offsets_.push_back(size);
    if (launch.varies()) size += kGridBytes;
  }
  step_ = memory.allocate(size, MemoryPurpose::step, "step buffer");
  tokens_ = memory.allocate(kMaxSegments * sizeof(std::int32_t), MemoryPurpose::readback, "tokens");
  // Steps may leave words at the end unwritten, but shaders bind the whole step buffer. So all
  // words are initialized.
  std::memset(step_->mapped(), 0, size);
  allocate_sets(launches);
  if (options.timestamps) {
    auto info = structure<VkQueryPoolCreateInfo>(VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO);
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = static_cast<std::uint32_t>(launches.size() + 1);
    VkQueryPool handle = VK_NULL_HANDLE;
    check(device.fn().vkCreateQueryPool(device.handle(), &info, nullptr, &handle),
          "vkCreateQueryPool", "timestamps");
    queries_ = QueryPoolHandle(device, handle);
  }
  auto info = structure<VkCommandPoolCreateInfo>(VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO);
  info.queueFamilyIndex = static_cast<std::uint32_t>(device.caps().compute_queue_family);
  VkCommandPool handle = VK_NULL_HANDLE;
  check(device.fn().vkCreateCommandPool(device.handle(), &info, nullptr, &handle),
        "vkCreateCommandPool", "recording");
  pool_ = CommandPoolHandle(device, handle);
  record(launches, result, options);
}

void Recording::allocate_sets(const std::vector<BoundLaunch>& launches) {
  const Functions& fn = device_.fn();
  std::uint32_t n_buffers = 0;
  std::vector<VkDescriptorSetLayout> layouts;
  for (const BoundLaunch& launch : launches) {
    n_buffers += static_cast<std::uint32_t>(launch.ranges.size());
    layouts.push_back(launch.pipeline->set_layout);
  }
  if (layouts.empty()) return;
  const VkDescriptorPoolSize pool_size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, n_buffers};
  auto pool_info =
      structure<VkDescriptorPoolCreateInfo>(VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO);
  pool_info.maxSets = static_cast<std::uint32_t>(layouts.size());
  pool_info.poolSizeCount = n_buffers > 0 ? 1 : 0;
  pool_info.pPoolSizes = &pool_size;
  VkDescriptorPool pool = VK_NULL_HANDLE;
  check(fn.vkCreateDescriptorPool(device_.handle(), &pool_info, nullptr, &pool),
        "vkCreateDescriptorPool", "recording");
  descriptors_ = DescriptorPoolHandle(device_, pool);

  auto info =
      structure<VkDescriptorSetAllocateInfo>(VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO);
  info.descriptorPool = pool;
  info.descriptorSetCount = static_cast<std::uint32_t>(layouts.size());
  info.pSetLayouts = layouts.data();
  sets_.resize(layouts.size());
  check(fn.vkAllocateDescriptorSets(device_.handle(), &info, sets_.data()),
        "vkAllocateDescriptorSets", "recording");

  std::vector<VkDescriptorBufferInfo> buffers;
  buffers.reserve(n_buffers);  // `writes` points into this vector, so it must not grow
  std::vector<VkWriteDescriptorSet> writes;
  for (std::size_t i = 0; i < launches.size(); ++i) {
    for (std::uint32_t binding = 0; binding < launches[i].ranges.size(); ++binding) {
      const BoundRange& range = launches[i].ranges[binding];
      buffers.push_back({range.buffer != VK_NULL_HANDLE ? range.buffer : step_->handle(),
                         range.offset_bytes, range.size_bytes});
      auto write = structure<VkWriteDescriptorSet>(VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET);
      write.dstSet = sets_[i];
      write.dstBinding = binding;
      write.descriptorCount = 1;
      write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
      write.pBufferInfo = &buffers.back();
      writes.push_back(write);
    }
  }
  fn.vkUpdateDescriptorSets(device_.handle(), static_cast<std::uint32_t>(writes.size()),
                            writes.data(), 0, nullptr);
}

VkCommandBuffer Recording::begin_commands() {
  auto info =
      structure<VkCommandBufferAllocateInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO);
  info.commandPool = pool_.get();
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  check(device_.fn().vkAllocateCommandBuffers(device_.handle(), &info, &commands),
        "vkAllocateCommandBuffers", "recording");
  const auto begin =
      structure<VkCommandBufferBeginInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO);
  check(device_.fn().vkBeginCommandBuffer(commands, &begin), "vkBeginCommandBuffer", "recording");
  commands_.push_back(commands);
  return commands;
}

void Recording::end_commands(VkCommandBuffer commands) {
  check(device_.fn().vkEndCommandBuffer(commands), "vkEndCommandBuffer", "recording");
}

void Recording::barrier(VkCommandBuffer commands) {
  auto memory = structure<VkMemoryBarrier2>(VK_STRUCTURE_TYPE_MEMORY_BARRIER_2);
  memory.srcStageMask = kStages;
  memory.srcAccessMask = VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT;
  memory.dstStageMask = kStages | VK_PIPELINE_STAGE_2_DRAW_INDIRECT_BIT;
  memory.dstAccessMask = VK_ACCESS_2_SHADER_STORAGE_READ_BIT |
                         VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT | VK_ACCESS_2_TRANSFER_READ_BIT |
                         VK_ACCESS_2_TRANSFER_WRITE_BIT | VK_ACCESS_2_INDIRECT_COMMAND_READ_BIT;
  auto info = structure<VkDependencyInfo>(VK_STRUCTURE_TYPE_DEPENDENCY_INFO);
  info.memoryBarrierCount = 1;
  info.pMemoryBarriers = &memory;
  device_.fn().vkCmdPipelineBarrier2(commands, &info);
}

void Recording::record(const std::vector<BoundLaunch>& launches,
                       const std::optional<BoundRange>& result, const RecordOptions& options) {
  const Functions& fn = device_.fn();
  VkCommandBuffer commands = begin_commands();
  if (queries_) {
    fn.vkCmdResetQueryPool(commands, queries_.get(), 0,
                           static_cast<std::uint32_t>(launches.size() + 1));
    fn.vkCmdWriteTimestamp2(commands, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, queries_.get(), 0);
  }
  barrier(commands);  // makes this step wait for all earlier submissions
  HazardTracker hazards;
  std::int64_t flops = 0;
  for (std::size_t i = 0; i < launches.size(); ++i) {
    if (options.max_flops > 0 && flops > 0 && flops + launches[i].cost.flops > options.max_flops) {
      end_commands(commands);
      commands = begin_commands();
      flops = 0;
    }
    flops += launches[i].cost.flops;
    if (hazards.needs_barrier(accesses_of(launches[i]))) barrier(commands);
    record_launch(commands, launches[i], i);
    if (queries_)
      fn.vkCmdWriteTimestamp2(commands, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, queries_.get(),
                              static_cast<std::uint32_t>(i + 1));
  }
  if (result) {
    const MemoryAccess read = access_of(*result);
    if (hazards.needs_barrier({&read, 1})) barrier(commands);
    const VkBufferCopy copy{result->offset_bytes, 0, result->size_bytes};
    fn.vkCmdCopyBuffer(commands, result->buffer, tokens_->handle(), 1, &copy);
  }
  auto memory = structure<VkMemoryBarrier2>(VK_STRUCTURE_TYPE_MEMORY_BARRIER_2);
  memory.srcStageMask = kStages;
  memory.srcAccessMask = VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT;
  memory.dstStageMask = VK_PIPELINE_STAGE_2_HOST_BIT;
  memory.dstAccessMask = VK_ACCESS_2_HOST_READ_BIT;
  auto info = structure<VkDependencyInfo>(VK_STRUCTURE_TYPE_DEPENDENCY_INFO);
  info.memoryBarrierCount = 1;
  info.pMemoryBarriers = &memory;
  fn.vkCmdPipelineBarrier2(commands, &info);
  end_commands(commands);
}

void Recording::record_launch(VkCommandBuffer commands, const BoundLaunch& bound,
                              std::size_t index) {
  const Functions& fn = device_.fn();
  if (fn.vkCmdBeginDebugUtilsLabelEXT != nullptr) {
    auto label = structure<VkDebugUtilsLabelEXT>(VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT);
    label.pLabelName = bound.label.c_str();
    fn.vkCmdBeginDebugUtilsLabelEXT(commands, &label);
  }
  fn.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, bound.pipeline->pipeline.get());
  fn.vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, bound.pipeline->layout.get(),
                             0, 1, &sets_[index], 0, nullptr);
  if (bound.launch.push_bytes > 0)
    fn.vkCmdPushConstants(commands, bound.pipeline->layout.get(), VK_SHADER_STAGE_COMPUTE_BIT, 0,
                          bound.launch.push_bytes, bound.launch.push.data());
  if (bound.indirect) {
    fn.vkCmdDispatchIndirect(commands, bound.indirect->buffer, bound.indirect->offset_bytes);
  } else if (bound.varies()) {
    fn.vkCmdDispatchIndirect(commands, step_->handle(), grid_offsets_[index]);
  } else {
    const auto groups = groups_of(bound.launch, {});
    fn.vkCmdDispatch(commands, groups[0], groups[1], groups[2]);
  }
  if (fn.vkCmdEndDebugUtilsLabelEXT != nullptr) fn.vkCmdEndDebugUtilsLabelEXT(commands);
}

void Recording::write_step(const StepBuffer& step, const std::vector<BoundLaunch>& launches) {
  step_bytes_ = 0;
  const auto write = [&](std::size_t offset, const void* from, std::size_t size_bytes) {
    if (size_bytes == 0) return;
    std::memcpy(step_->mapped() + offset, from, size_bytes);
    step_bytes_ += size_bytes;
  };
  BX_ASSERT(step.pages.size() <= table_words_, "the recording has room for the page tables");
  const StepHeader& header = step;
  write(0, &header, offsetof(StepHeader, segments) + step.n_segments * sizeof(SegmentWords));
  write(offsetof(StepHeader, output_rows), step.output_rows.data(),
        step.n_outputs * sizeof(StepWord));
  write(offsetof(StepHeader, ids), step.ids.data(), step.n_rows * sizeof(StepInt));
  write(sizeof(StepHeader), step.pages.data(), step.pages.size() * sizeof(StepWord));
  for (std::size_t i = 0; i < launches.size(); ++i) {
    if (!launches[i].varies()) continue;
    const auto groups = groups_of(launches[i].launch, sizes_of(step));
    write(grid_offsets_[i], groups.data(), kGridBytes);
  }
}

std::vector<double> Recording::launch_times_ns() const {
  if (!queries_) return {};
  std::vector<std::uint64_t> ticks(grid_offsets_.size() + 1);
  check(device_.fn().vkGetQueryPoolResults(
            device_.handle(), queries_.get(), 0, static_cast<std::uint32_t>(ticks.size()),
            ticks.size() * sizeof(std::uint64_t), ticks.data(), sizeof(std::uint64_t),
            VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
        "vkGetQueryPoolResults", "timestamps");
  // The timestamp counter has `timestamp_bits` bits and wraps around.
  const std::uint32_t bits = device_.caps().timestamp_bits;
  const std::uint64_t mask = bits >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
  std::vector<double> times;
  for (std::size_t i = 1; i < ticks.size(); ++i)
    times.push_back(static_cast<double>((ticks[i] - ticks[i - 1]) & mask) *
                    device_.caps().timestamp_period_ns);
  return times;
}

}  // namespace bitaxon::vulkan
