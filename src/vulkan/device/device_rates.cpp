#include "vulkan/device/device_rates.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>

#include "bitaxon/error.h"
#include "platform/host_rates.h"
#include "shaders/params/multiply_add.h"
#include "shaders/params/multiply_matrix.h"
#include "shaders/params/read_words.h"
#include "vulkan/device/result.h"
#include "vulkan/device/structure.h"
#include "vulkan/kernels/matrix_tile.h"
#include "vulkan/run/recording.h"

namespace bitaxon::vulkan {
namespace {

constexpr int kPasses = 5;
constexpr std::uint32_t kDispatches = 1000;
constexpr std::uint32_t kReadGroups = 4096;
/// The shortest measurement in seconds. It is long enough that the time of a submission is
/// negligible.
constexpr double kEnoughSeconds = 0.01;
constexpr std::uint32_t kMostRounds = 1U << 20;
constexpr std::uint32_t kMostMatrixRounds = 1U << 16;

/// The number of bytes to read. The bytes should exceed every cache, as far as memory allows, and
/// must fit in one binding. A CPU-type device is slow, so it reads fewer bytes. 0 if there is too
/// little memory.
std::size_t bytes_to_read(const DeviceCaps& caps, std::uint64_t available) {
  const bool is_cpu = caps.type == DeviceType::cpu;
  const std::size_t most = std::size_t{is_cpu ? 128U : 1024U} << 20;
  const std::size_t least = std::size_t{is_cpu ? 64U : 256U} << 20;
  const std::size_t size = read_rate_bytes(most, least, available);
  return static_cast<std::size_t>(std::min<std::uint64_t>(size, caps.max_storage_buffer_bytes)) /
         16 * 16;
}

/// The free memory of the heap that holds weights.
std::uint64_t available_bytes(const Device& device) {
  const std::int32_t type = choose_memory_type(device.caps(), MemoryPurpose::weights, ~0U);
  return device.heaps_now()[device.caps().memory_types[static_cast<std::size_t>(type)].heap]
      .available_bytes;
}

class RateMeasurement {
 public:
  RateMeasurement(const Device& device, MemoryAllocator& memory, PipelineLibrary& pipelines,
                  Transfer& transfer)
      : device_(device),
        memory_(memory),
        pipelines_(pipelines),
        transfer_(transfer),
        group_(group_size(device.caps())),
        n_reads_(device.caps().type == DeviceType::cpu ? 1 : 8),
        done_(make_timeline(device, "rates")) {
    const std::size_t n_sums = std::size_t{kReadGroups} * group_;
    sums_ = memory.allocate(n_sums * 4, MemoryPurpose::activations, "sums");
    allocate_words();
    transfer.upload(*words_, 0, words_->size_bytes(), [](std::size_t, std::span<std::byte> to) {
      std::fill(to.begin(), to.end(), std::byte{1});
    });
  }

  DeviceRates measure() {
    DeviceRates rates;
    rates.dispatch_s = seconds_of(kDispatches, read_words(1, 0));
    if (is_beyond_caches_) rates.read_bytes_per_s = read_rate();
    rates.f32_flops_per_s = multiply_add_rate();
    if (const auto units = matrix_units(device_.caps());
        units && device_.caps().matrix_tile != 0 && group_ >= units->subgroup_size)
      rates.matrix_flops_per_s = matrix_rate(*units);
    return rates;
  }

 private:
  /// Allocates the buffer of words to read. If memory is short, allocates only a few words, because
  /// the other measurements also bind this buffer.
  void allocate_words() {
    constexpr std::size_t kFewBytes = 16;
    std::size_t size = bytes_to_read(device_.caps(), available_bytes(device_));
    while (words_ == nullptr) try {
        is_beyond_caches_ = size > 0;
        words_ =
            memory_.allocate(std::max(size, kFewBytes), MemoryPurpose::weights, "memory to read");
      } catch (const Error&) {  // free memory may be fragmented or taken by another process
        if (size == 0) throw;
        size = bytes_to_read(device_.caps(), size);
      }
  }

  double read_rate() {
    const auto n_quads = static_cast<std::uint32_t>(words_->size_bytes() / 16);
    const double seconds = seconds_of(n_reads_, read_words(kReadGroups, n_quads));
    check_sums(n_quads);
    return 16.0 * n_quads / seconds;
  }

  BoundLaunch bind(Launch launch, std::uint32_t n_groups, const char* label) {
    BoundLaunch bound;
    bound.launch = std::move(launch);
    bound.launch.bindings = {{.access = Access::read_write}, {.access = Access::read}};
    bound.launch.grid[0].count = n_groups;
    bound.pipeline = &pipelines_.find(bound.launch);
    // Each launch reads and writes the sums, so that there is a barrier between two launches.
    bound.ranges = {{sums_->handle(), 0, sums_->size_bytes(), Access::read_write},
                    {words_->handle(), 0, words_->size_bytes(), Access::read}};
    bound.label = label;
    return bound;
  }

  BoundLaunch read_words(std::uint32_t n_groups, std::uint32_t n_quads) {
    Launch launch;
    launch.shader = Shader::read_words;
    launch.specialization = {{BX_READ_WORDS_GROUP_SIZE, group_}};
    launch.set_push(ReadWordsPush{.n_quads = n_quads});
    return bind(std::move(launch), n_groups, "read_words");
  }

  BoundLaunch multiply_add(std::uint32_t n_rounds) {
    Launch launch;
    launch.shader = Shader::multiply_add;
    launch.specialization = {{BX_MULTIPLY_ADD_GROUP_SIZE, group_}};
    // Every chain converges to exactly term / (1 - factor) = 2, whatever its first value is.
    launch.set_push(MultiplyAddPush{.n_rounds = n_rounds, .factor = 0.5F, .term = 1.0F});
    return bind(std::move(launch), kReadGroups, "multiply_add");
  }

  double multiply_add_rate() {
    std::uint32_t n_rounds = 64;
    double seconds = seconds_of(1, multiply_add(n_rounds));
    while (seconds < kEnoughSeconds && n_rounds < kMostRounds)
      seconds = seconds_of(1, multiply_add(n_rounds *= 4));
    check_every_sum("multiply-adds", 2.0F * BX_MULTIPLY_ADD_CHAINS);
    return 2.0 * BX_MULTIPLY_ADD_CHAINS * n_rounds * kReadGroups * group_ / seconds;
  }

  void check_every_sum(const char* what, float expected) {
    std::vector<float> sums(sums_->size_bytes() / sizeof(float));
    transfer_.download(*sums_, 0, std::as_writable_bytes(std::span(sums)));
    for (const float sum : sums)
      if (sum != expected)
        throw Error(ErrorKind::device,
                    fmt::format("vulkan: {}: expected {}, got {}", what, expected, sum));
  }

  BoundLaunch multiply_matrix(const MatrixUnits& units, std::uint32_t n_rounds) {
    Launch launch;
    launch.shader = Shader::multiply_matrix;
    launch.subgroup_size = units.subgroup_size;
    launch.specialization = {{BX_MULTIPLY_MATRIX_GROUP_SIZE, group_},
                             {BX_MULTIPLY_MATRIX_M, units.shape.m},
                             {BX_MULTIPLY_MATRIX_N, units.shape.n},
                             {BX_MULTIPLY_MATRIX_K, units.shape.k}};
    launch.set_push(MultiplyMatrixPush{.n_rounds = n_rounds});
    return bind(std::move(launch), kReadGroups, "multiply_matrix");
  }

  double matrix_rate(const MatrixUnits& units) {
    // The first word of words_ is 2^-125 and more: nothing, next to 1/64 as a half.
    std::uint32_t n_rounds = 16;
    double seconds = seconds_of(1, multiply_matrix(units, n_rounds));
    // Up to 2^17 rounds, sums of up to 32 / 4096 are exact.
    while (seconds < kEnoughSeconds && n_rounds < kMostMatrixRounds)
      seconds = seconds_of(1, multiply_matrix(units, n_rounds *= 4));
    const MatrixShape& shape = units.shape;
    const float expected =
        6.0F + BX_MULTIPLY_MATRIX_CHAINS * static_cast<float>(n_rounds * shape.k) / 4096.0F;
    check_every_sum("products of matrices", expected);
    const double subgroups = kReadGroups * group_ / units.subgroup_size;
    return 2.0 * shape.m * shape.n * shape.k * BX_MULTIPLY_MATRIX_CHAINS * n_rounds * subgroups /
           seconds;
  }

  /// The seconds that one launch takes. Runs kPasses passes of `n` launches and takes the fastest
  /// pass. A pass before them is not counted.
  double seconds_of(std::uint32_t n, const BoundLaunch& launch) {
    transfer_.upload(*sums_, 0, sums_->size_bytes(), [](std::size_t, std::span<std::byte> to) {
      std::fill(to.begin(), to.end(), std::byte{0});
    });
    const std::vector<BoundLaunch> launches(n, launch);
    const Recording recording(device_, memory_, launches, std::nullopt, 0, {});
    double best = std::numeric_limits<double>::infinity();
    for (int pass = 0; pass <= kPasses; ++pass) {
      const auto begin = std::chrono::steady_clock::now();
      run(recording);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
      if (pass > 0) best = std::min(best, seconds.count());
    }
    return best / n;
  }

  void run(const Recording& recording) {
    ++n_submitted_;
    std::vector<VkCommandBufferSubmitInfo> commands;
    for (const VkCommandBuffer buffer : recording.commands())
      commands.push_back({VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, nullptr, buffer, 0});
    auto signal = structure<VkSemaphoreSubmitInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO);
    signal.semaphore = done_.get();
    signal.value = n_submitted_;
    signal.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
    auto submit = structure<VkSubmitInfo2>(VK_STRUCTURE_TYPE_SUBMIT_INFO_2);
    submit.commandBufferInfoCount = static_cast<std::uint32_t>(commands.size());
    submit.pCommandBufferInfos = commands.data();
    submit.signalSemaphoreInfoCount = 1;
    submit.pSignalSemaphoreInfos = &signal;
    check(device_.fn().vkQueueSubmit2(device_.queue(), 1, &submit, VK_NULL_HANDLE),
          "vkQueueSubmit2", "rates");
    const VkSemaphore semaphore = done_.get();
    auto wait = structure<VkSemaphoreWaitInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO);
    wait.semaphoreCount = 1;
    wait.pSemaphores = &semaphore;
    wait.pValues = &n_submitted_;
    const VkResult result = device_.fn().vkWaitSemaphores(device_.handle(), &wait, UINT64_MAX);
    // After an error, the caller frees memory that the device may still be using.
    if (result != VK_SUCCESS) device_.wait_idle();
    check(result, "vkWaitSemaphores", "rates");
  }

  /// Checks that the device has read all words. All words are equal, so the sums say how many words
  /// it has read.
  void check_sums(std::uint32_t n_quads) {
    std::vector<std::uint32_t> sums(sums_->size_bytes() / 4);
    transfer_.download(*sums_, 0, std::as_writable_bytes(std::span(sums)));
    const std::uint32_t got = std::accumulate(sums.begin(), sums.end(), std::uint32_t{0});
    const std::uint32_t expected = 0x01010101U * 4U * n_quads * n_reads_ * (kPasses + 1);
    if (got != expected)
      throw Error(ErrorKind::device,
                  fmt::format("vulkan: words read: expected a sum of {}, got {}", expected, got));
  }

  const Device& device_;
  MemoryAllocator& memory_;
  PipelineLibrary& pipelines_;
  Transfer& transfer_;
  std::uint32_t group_;
  std::uint32_t n_reads_;
  SemaphoreHandle done_;
  std::uint64_t n_submitted_ = 0;
  std::shared_ptr<DeviceBuffer> sums_, words_;
  bool is_beyond_caches_ = false;  ///< whether words_ is large enough to measure a read rate
};

}  // namespace

DeviceRates measure_rates(const Device& device, MemoryAllocator& memory, PipelineLibrary& pipelines,
                          Transfer& transfer) {
  return RateMeasurement(device, memory, pipelines, transfer).measure();
}

}  // namespace bitaxon::vulkan
