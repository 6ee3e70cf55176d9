#include "vulkan/vulkan_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "bitaxon/error.h"
#include "core/assert.h"
#include "platform/printable.h"
#include "vulkan/description.h"
#include "vulkan/device/device_access.h"
#include "vulkan/device/device_choice.h"
#include "vulkan/device/device_rates.h"
#include "vulkan/device/failure.h"
#include "vulkan/device/result.h"
#include "vulkan/device/structure.h"
#include "vulkan/device/tile_choice.h"
#include "vulkan/kernels/matrix_tile.h"
#include "vulkan/memory/transfer.h"
#include "vulkan/program/shader_compiler.h"
#include "vulkan/program/shader_source.h"
#include "vulkan/run/copy_queue.h"
#include "vulkan/run/executable.h"
#include "vulkan/run/kernel.h"
#include "vulkan/variants.h"

namespace bitaxon::vulkan {
namespace {

const Instance::PhysicalDevice& choose(const Instance& instance, const VulkanOptions& options) {
  std::vector<DeviceCaps> caps;
  for (const auto& device : instance.devices()) caps.push_back(device.caps);
  const DeviceChoice choice = choose_device(caps, options.selector);
  if (!choice.chosen) {
    std::string problem = problem_of(choice, caps, options.selector);
    if (!options.drivers.rejected.empty()) problem += "; " + options.drivers.rejected_text();
    throw Error(ErrorKind::unsupported, with_access_problem(std::move(problem)));
  }
  return instance.devices()[*choice.chosen];
}

/// The physical device with what this program can use and a test has not removed.
Instance::PhysicalDevice limited(Instance::PhysicalDevice device, const VulkanOptions& options) {
  if (!(options.shader_dir.empty() ? has_matrix_shaders() : compiles_matrix_shaders()))
    device.caps.matrix_shapes.clear();
  if (!options.tiles.empty()) {
    const TileVariant& variant = tile_variant(options.tiles);
    device.caps.matrix_tile = variant.matrix_tile;
    device.caps.float16_tiles = variant.float16_tiles && device.caps.shader_float16;
    // Whoever asks for halves gets them even where they are not expected to be fast.
    if (device.caps.float16_tiles) device.caps.packed_halves = true;
  }
  if (options.limit_caps) options.limit_caps(device.caps);
  return device;
}

/// An entry of the ring buffer of submitted steps. Keeps the executable alive until the step is done.
struct InFlight {
  std::shared_ptr<VulkanExecutable> executable;
  const Recording* recording = nullptr;
  std::uint32_t n_segments = 0;
  std::array<std::int32_t, kMaxSegments> tokens{};
};

class VulkanBackend final : public Backend {
 public:
  explicit VulkanBackend(const VulkanOptions& options)
      : options_(options),
        instance_(options.hook, options.messages, default_loader_names(), options.drivers),
        device_(instance_, limited(choose(instance_, options), options)),
        memory_(device_),
        pipeline_cache_(device_,
                        options.shader_dir.empty() ? options.cache_dir : std::filesystem::path()),
        pipelines_(device_, pipeline_cache_, shader_source(options.shader_dir)),
        transfer_(device_, memory_, failure_),
        steps_done_(make_timeline(device_, "steps")),
        parts_done_(make_timeline(device_, "parts of steps")) {
    const DeviceCaps& device = device_.caps();
    caps_.name = "vulkan";
    caps_.device = fmt::format("{}, {}", device.name, device.driver_info);
    caps_.compiles_late = true;
    caps_.driver = fmt::format("{} {}", device.driver_name, device.driver_info);
    caps_.pci_address = device.pci_address;
  }

  ~VulkanBackend() override { device_.wait_idle(); }

  const BackendCaps& caps() const override { return caps_; }

  std::shared_ptr<const BackendDescription> description() const override {
    DeviceCaps now = device_.caps();
    now.heaps = device_.heaps_now();
    if (options_.limit_caps) options_.limit_caps(now);
    return describe_device(now);
  }

  Buffer allocate(std::size_t size_bytes, BufferUse use) override {
    failure_.check();
    const bool state = use == BufferUse::state;
    return Buffer{
        size_bytes,
        memory_.allocate(size_bytes, state ? MemoryPurpose::state : MemoryPurpose::activations,
                         state ? "state" : "activations")};
  }

  void upload(const Buffer& buffer, std::size_t offset, std::span<const std::byte> from) override {
    failure_.check();
    wait_idle();
    BX_ASSERT(offset + from.size() <= buffer.size_bytes, "upload inside the buffer");
    transfer_.upload(device_buffer(buffer), offset, from.size(),
                     [&](std::size_t at, std::span<std::byte> to) {
                       if (!to.empty()) std::memcpy(to.data(), from.data() + at, to.size());
                     });
  }

  void download(const Buffer& buffer, std::size_t offset, std::span<std::byte> to) override {
    failure_.check();
    wait_idle();
    BX_ASSERT(offset + to.size() <= buffer.size_bytes, "download inside the buffer");
    transfer_.download(device_buffer(buffer), offset, to);
  }

  void copy(std::span<const BufferCopy> copies) override {
    failure_.check();
    copies_.add(copies);
  }
  void finish() override {
    failure_.check();
    wait_idle();
  }

  std::shared_ptr<const Weight> pack(const WeightDesc& desc, const WeightParts& parts) override;

  Executable compile(std::shared_ptr<const Plan> plan, const PlanContext& context) override;
  Ticket submit(const Executable& executable, const StepBuffer& step) override;
  StepResult wait(Ticket ticket) override;
  StepCounts last_step() const override { return last_step_; }

  void measure_ops(bool wanted) override { timestamps_ = wanted; }
  std::vector<OpTime> last_step_times() override;
  std::optional<std::uint64_t> peak_bytes() const override { return memory_.peak_bytes(); }

  void try_variants() {
    caps_.variants = choose_variants(*this, device_, options_.tiles, pipeline_cache_, failure_);
  }

  DeviceRates measure_rates() override {
    failure_.check();
    wait_idle();
    DeviceRates rates;
    failure_.watch([&] { rates = vulkan::measure_rates(device_, memory_, pipelines_, transfer_); });
    return rates;
  }
  const DeviceCaps& device_caps() const { return device_.caps(); }

 private:
  void hand_over(const std::vector<VkCommandBuffer>& commands, std::uint64_t number);
  /// Waits for all steps, and makes the queued copies.
  void wait_idle() {
    wait_until(submitted_);
    copies_.make_now(transfer_);
  }
  void wait_until(std::uint64_t number);
  void collect(std::uint64_t number);
  InFlight& place_of(std::uint64_t number) { return in_flight_[number % kMaxInFlight]; }

  VulkanOptions options_;
  BackendCaps caps_;
  Instance instance_;
  Device device_;
  MemoryAllocator memory_;
  Failure failure_;
  PipelineCache pipeline_cache_;
  PipelineLibrary pipelines_;
  Transfer transfer_;
  std::uint64_t n_parts_ = 0;   ///< submitted parts of steps, not counting the last part of a step
  SemaphoreHandle steps_done_;  ///< its value is the number of the latest step that is done
  SemaphoreHandle parts_done_;  ///< its value is the number of finished parts, counted as n_parts_
  std::array<InFlight, kMaxInFlight> in_flight_;
  CopyQueue copies_{device_};
  std::uint64_t submitted_ = 0;
  std::uint64_t done_ = 0;  ///< the latest step that is known to be done
  StepCounts last_step_;
  bool timestamps_ = false;  ///< whether executables compiled from now on measure their times
  std::shared_ptr<VulkanExecutable> last_executable_;  ///< set only if it has timestamps
  const Recording* last_recording_ = nullptr;
  StepSizes last_sizes_;
};

std::shared_ptr<const Weight> VulkanBackend::pack(const WeightDesc& desc,
                                                  const WeightParts& parts) {
  failure_.check();
  if (desc.elements() > kMaxWeightElements)
    throw Error(ErrorKind::unsupported,
                fmt::format("vulkan: tensor \"{}\": expected at most {} elements, got {}",
                            printable(desc.name), kMaxWeightElements, desc.elements()));
  const PackedLayout layout = packed_layout(desc);
  auto memory = memory_.allocate(layout.size_bytes, MemoryPurpose::weights, desc.name);
  transfer_.upload(*memory, 0, layout.size_bytes, [&](std::size_t offset, std::span<std::byte> to) {
    write_packed(desc, parts, layout, offset, to);
  });
  return make_weight(desc, std::move(memory));
}

Executable VulkanBackend::compile(std::shared_ptr<const Plan> plan, const PlanContext& context) {
  failure_.check();
  BX_ASSERT(context.arena.size_bytes >= plan->arena_bytes, "the arena holds the plan");
  auto executable = std::make_shared<VulkanExecutable>();
  executable->plan = std::move(plan);
  executable->context = context;
  executable->options = {.max_flops = options_.max_flops_per_submission,
                         .timestamps = timestamps_ && device_.caps().timestamps};
  bind_launches(*executable, device_.caps(), pipelines_, [&](std::size_t size_bytes) {
    auto zeros = memory_.allocate(size_bytes, MemoryPurpose::activations, "counters");
    transfer_.upload(*zeros, 0, size_bytes, [](std::size_t, std::span<std::byte> to) {
      std::ranges::fill(to, std::byte{0});
    });
    return zeros;
  });
  executable->recording_for(done_, device_, memory_);  // makes the first recording ahead of time
  pipeline_cache_.save();
  return Executable{executable};
}

Ticket VulkanBackend::submit(const Executable& handle, const StepBuffer& step) {
  failure_.check();
  if (submitted_ - done_ >= kMaxInFlight) collect(submitted_ + 1 - kMaxInFlight);
  if (submitted_ - done_ >= kMaxInFlight)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[submit] expected at most {} steps in flight", kMaxInFlight));
  auto executable = std::static_pointer_cast<VulkanExecutable>(handle.compiled);
  Recording& recording = executable->recording_for(done_, device_, memory_);
  recording.write_step(step, executable->launches);
  const std::uint64_t number = submitted_ + 1;
  // The entry keeps the executable alive, even if the submission fails: to Vulkan, a lost device
  // may still be executing the step.
  InFlight& place = place_of(number);
  place.recording = &recording;
  place.executable = executable;
  place.n_segments = executable->result ? step.n_segments : 0;
  recording.ticket = number;
  failure_.submitting(fmt::format("step {}: {}", number, executable->label));
  failure_.watch([&] {
    std::vector<VkCommandBuffer> commands = recording.commands();
    copies_.record(number, commands);
    hand_over(commands, number);
  });
  submitted_ = number;

  last_step_ = {.dispatches = executable->launches.size(),
                .submissions = recording.commands().size(),
                .bytes_to_device = recording.step_bytes(),
                .bytes_from_device = place.n_segments * sizeof(std::int32_t)};
  last_executable_ = executable->options.timestamps ? executable : nullptr;
  last_recording_ = executable->options.timestamps ? &recording : nullptr;
  last_sizes_ = sizes_of(step);
  return {number};
}

void VulkanBackend::hand_over(const std::vector<VkCommandBuffer>& commands, std::uint64_t number) {
  std::vector<VkCommandBufferSubmitInfo> infos;
  std::vector<VkSubmitInfo2> parts;
  infos.reserve(commands.size());  // `parts` points into this vector, so it must not grow
  for (const VkCommandBuffer buffer : commands) {
    infos.push_back({VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, nullptr, buffer, 0});
    auto part = structure<VkSubmitInfo2>(VK_STRUCTURE_TYPE_SUBMIT_INFO_2);
    part.commandBufferInfoCount = 1;
    part.pCommandBufferInfos = &infos.back();
    parts.push_back(part);
  }
  // Every part signals a semaphore. Otherwise a driver may merge the part with the next one.
  std::vector<VkSemaphoreSubmitInfo> signals(
      parts.size(), structure<VkSemaphoreSubmitInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    signals[i].semaphore = last ? steps_done_.get() : parts_done_.get();
    signals[i].value = last ? number : ++n_parts_;
    signals[i].stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
    parts[i].signalSemaphoreInfoCount = 1;
    parts[i].pSignalSemaphoreInfos = &signals[i];
  }
  check(device_.fn().vkQueueSubmit2(device_.queue(), static_cast<std::uint32_t>(parts.size()),
                                    parts.data(), VK_NULL_HANDLE),
        "vkQueueSubmit2", fmt::format("step {}", number));
}

void VulkanBackend::collect(std::uint64_t number) {
  if (done_ >= number) return;
  failure_.watch([&] {
    std::uint64_t value = 0;
    check(device_.fn().vkGetSemaphoreCounterValue(device_.handle(), steps_done_.get(), &value),
          "vkGetSemaphoreCounterValue", "steps");
    // When the device is lost, some drivers report a number beyond all steps instead of an error.
    if (value > submitted_) check(VK_ERROR_DEVICE_LOST, "vkGetSemaphoreCounterValue", "steps");
    // Keeps the tokens and releases the executables of the finished steps.
    while (done_ < value) {
      InFlight& place = place_of(++done_);
      std::memcpy(place.tokens.data(), place.recording->tokens(),
                  place.n_segments * sizeof(std::int32_t));
      place.recording = nullptr;
      place.executable.reset();
      copies_.release(done_);
    }
  });
}

void VulkanBackend::wait_until(std::uint64_t number) {
  if (done_ >= number) return;
  failure_.watch([&] {
    const VkSemaphore semaphore = steps_done_.get();
    auto info = structure<VkSemaphoreWaitInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO);
    info.semaphoreCount = 1;
    info.pSemaphores = &semaphore;
    info.pValues = &number;
    check(device_.fn().vkWaitSemaphores(device_.handle(), &info, UINT64_MAX), "vkWaitSemaphores",
          fmt::format("step {}", number));
  });
  collect(number);
}

StepResult VulkanBackend::wait(Ticket ticket) {
  failure_.check();
  if (ticket.number < 1 || ticket.number > submitted_ || ticket.number + kMaxInFlight <= submitted_)
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("[wait] ticket: expected one of the {} steps submitted last, got {} of {}",
                    kMaxInFlight, ticket.number, submitted_));
  wait_until(ticket.number);
  const InFlight& place = place_of(ticket.number);
  return {{place.tokens.data(), place.n_segments}};
}

std::vector<OpTime> VulkanBackend::last_step_times() {
  std::vector<OpTime> times;
  if (last_recording_ == nullptr) return times;
  failure_.check();
  wait_idle();
  std::vector<double> nanoseconds;
  failure_.watch([&] { nanoseconds = last_recording_->launch_times_ns(); });
  const Plan& plan = *last_executable_->plan;
  std::int32_t previous = -1;
  for (std::size_t i = 0; i < nanoseconds.size(); ++i) {
    const BoundLaunch& launch = last_executable_->launches[i];
    const auto place = static_cast<std::size_t>(launch.node);
    const bool is_first = launch.node != std::exchange(previous, launch.node);
    const Cost cost = is_first ? cost_at(plan, place, last_sizes_) : Cost{};
    times.push_back({.op = ops_at(plan, place),
                     .label = launch.label,
                     .time_ns = nanoseconds[i],
                     .bytes = cost.bytes,
                     .flops = cost.flops});
  }
  return times;
}

VulkanBackend& vulkan_backend(const Backend& backend) {
  auto* vulkan = dynamic_cast<VulkanBackend*>(const_cast<Backend*>(&backend));
  BX_ASSERT(vulkan != nullptr, "asked of a Vulkan backend");
  return *vulkan;
}

}  // namespace

std::shared_ptr<Backend> open_vulkan_backend(const VulkanOptions& options) {
  auto backend = std::make_shared<VulkanBackend>(options);
  check_tiles(options.tiles, backend->device_caps());
  if (options.shader_dir.empty()) backend->try_variants();
  return backend;
}

const DeviceCaps& device_caps(const Backend& backend) {
  return vulkan_backend(backend).device_caps();
}

}  // namespace bitaxon::vulkan
