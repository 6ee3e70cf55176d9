#include "cpu/cpu_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "bitaxon/error.h"
#include "core/assert.h"
#include "cpu/description.h"
#include "cpu/executable.h"
#include "cpu/memory.h"
#include "cpu/simd/targets.h"
#include "cpu/thread_pool.h"
#include "ops/op.h"
#include "platform/cpu_info.h"
#include "platform/host_rates.h"
#include "platform/threads.h"

namespace bitaxon::cpu {
namespace {

/// The product kernels of the backend. nullptr for the reference backend, and on a machine without
/// vector instructions. A backend without product kernels uses plain kernels only.
const ProductKernels* products_of(const CpuOptions& options) {
  return options.reference ? nullptr : simd_products();
}

/// One entry of the ring buffer of submitted steps.
struct InFlight {
  std::vector<BufferCopy> copies;  ///< run before the step
  std::shared_ptr<CpuExecutable> executable;
  StepBuffer step;
  std::array<std::int32_t, kMaxSegments> tokens{};
  std::uint32_t n_tokens = 0;
  std::vector<OpTime> times;  ///< the times of the ops; empty if they are not measured
};

/// One thread of the backend, the runner, runs the submitted steps one after the other. It shares
/// the loops of a step with the other threads of the pool. So submit() returns at once, as on a
/// GPU.
class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const CpuOptions& options)
      : products_(products_of(options)), pool_(options.n_threads) {
    caps_.name = options.reference ? "reference" : "cpu";
    const std::string set = instruction_set(options);
    caps_.device = fmt::format("{}, {} thread{}{}{}", cpu_model_name(), options.n_threads,
                               options.n_threads == 1 ? "" : "s", set.empty() ? "" : ", ", set);
    caps_.always_exact = options.reference;
    caps_.n_threads = options.n_threads;
    // There is only one thread to start. If it does not start, no other thread has to be stopped,
    // so the last argument does nothing.
    runner_ = std::move(start_threads(
                            0, 1, options.n_threads, [this](int) { run_submitted(); }, [] {})
                            .front());
  }

  ~CpuBackend() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    runner_.join();
  }

  const BackendCaps& caps() const override { return caps_; }
  std::shared_ptr<const BackendDescription> description() const override {
    return std::make_shared<CpuDescription>(pool_.n_threads(), is_plain(), caps_.always_exact);
  }
  const ThreadPool& pool() const { return pool_; }

  Buffer allocate(std::size_t size_bytes, BufferUse use) override {
    return {size_bytes,
            allocate_aligned(size_bytes, use == BufferUse::state ? "state" : "activations")};
  }

  void upload(const Buffer& buffer, std::size_t offset, std::span<const std::byte> from) override {
    wait_idle();
    BX_ASSERT(offset + from.size() <= buffer.size_bytes, "upload inside the buffer");
    if (!from.empty()) std::memcpy(bytes_of(buffer) + offset, from.data(), from.size());
  }

  void download(const Buffer& buffer, std::size_t offset, std::span<std::byte> to) override {
    wait_idle();
    BX_ASSERT(offset + to.size() <= buffer.size_bytes, "download inside the buffer");
    if (!to.empty()) std::memcpy(to.data(), bytes_of(buffer) + offset, to.size());
  }

  void copy(std::span<const BufferCopy> copies) override {
    queued_.insert(queued_.end(), copies.begin(), copies.end());
  }
  void finish() override { wait_idle(); }

  std::shared_ptr<const Weight> pack(const WeightDesc& desc, const WeightParts& parts) override;

  Executable compile(std::shared_ptr<const Plan> plan, const PlanContext& context) override;
  Ticket submit(const Executable& executable, const StepBuffer& step) override;
  StepResult wait(Ticket ticket) override;
  StepCounts last_step() const override { return last_step_; }

  DeviceRates measure_rates() override {
    wait_idle();
    return {.read_bytes_per_s = host_read_rate(pool_.n_threads()),
            .f32_flops_per_s = host_multiply_add_rate(pool_.n_threads())};
  }
  void measure_ops(bool wanted) override { measured_ = wanted; }
  std::vector<OpTime> last_step_times() override {
    wait_idle();
    return submitted_ == 0 ? std::vector<OpTime>() : place_of(submitted_).times;
  }

 private:
  bool is_plain() const { return products_ == nullptr; }
  InFlight& place_of(std::uint64_t number) { return in_flight_[number % kMaxInFlight]; }
  void wait_idle() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_ == submitted_; });
    check_failure();
    run_copies(queued_);
  }
  /// Makes the copies, in order, and empties the list.
  static void run_copies(std::vector<BufferCopy>& copies) {
    for (const BufferCopy& copy : copies)
      std::memcpy(bytes_of(copy.to) + copy.to_offset, bytes_of(copy.from) + copy.from_offset,
                  copy.size_bytes);
    copies.clear();
  }
  /// Throws the error of an earlier step, if there is one. The caller must hold the lock.
  void check_failure() const {
    if (!failure_.empty()) throw Error(ErrorKind::device, failure_);
  }
  void run_submitted();
  /// Runs a step. Returns the error message, or an empty string if the step succeeds.
  std::string run_step(InFlight& step);

  BackendCaps caps_;
  StepCounts last_step_;
  bool measured_ = false;           ///< whether executables compiled from now on measure their ops
  const ProductKernels* products_;  ///< nullptr if plain kernels run
  ThreadPool pool_;
  std::array<InFlight, kMaxInFlight> in_flight_;
  std::vector<BufferCopy> queued_;  ///< copies that the next step makes before it begins
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t submitted_ = 0;  ///< the number of the latest ticket
  std::uint64_t done_ = 0;       ///< all tickets up to this number are done
  std::string failure_;          ///< the error of the first failed step; later steps do not run
  bool stop_ = false;
  std::thread runner_;  // the last member, because the thread uses all other members
};

std::shared_ptr<const Weight> CpuBackend::pack(const WeightDesc& desc, const WeightParts& parts) {
  wait_idle();  // packing uses the pool, which runs one loop at a time
  return make_weight(pack_weight(desc, parts, is_plain(), pool_), is_plain());
}

Executable CpuBackend::compile(std::shared_ptr<const Plan> plan, const PlanContext& context) {
  auto executable = bind_tasks(std::move(plan), context, !is_plain());
  executable->measured = measured_;
  return {executable};
}

Ticket CpuBackend::submit(const Executable& executable, const StepBuffer& step) {
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    check_failure();
    // Only unfinished steps count: an entry is free as soon as its step is finished, even if no one
    // has waited for the step.
    if (submitted_ - done_ >= kMaxInFlight)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("[submit] expected at most {} steps in flight", kMaxInFlight));
    number = submitted_ + 1;
    InFlight& place = place_of(number);
    place.executable = std::static_pointer_cast<CpuExecutable>(executable.compiled);
    place.step = step;
    place.copies.swap(queued_);
    submitted_ = number;
    last_step_ = {.dispatches = place.executable->tasks.size(), .submissions = 1};
  }
  changed_.notify_all();
  return {number};
}

StepResult CpuBackend::wait(Ticket ticket) {
  std::unique_lock lock(mutex_);
  if (ticket.number < 1 || ticket.number > submitted_ || ticket.number + kMaxInFlight <= submitted_)
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("[wait] ticket: expected one of the {} steps submitted last, got {} of {}",
                    kMaxInFlight, ticket.number, submitted_));
  changed_.wait(lock, [&] { return done_ >= ticket.number; });
  check_failure();
  const InFlight& place = place_of(ticket.number);
  return {{place.tokens.data(), place.n_tokens}};
}

void CpuBackend::run_submitted() {
  std::unique_lock lock(mutex_);
  const auto is_wanted = [&] { return stop_ || done_ < submitted_; };
  for (;;) {
    if (!is_wanted()) {
      lock.unlock();
      pool_.cores().settle(0);
      lock.lock();
      changed_.wait(lock, is_wanted);
      pool_.cores().leave(0);
    }
    if (stop_) return;
    InFlight& place = place_of(done_ + 1);
    const bool runs = failure_.empty();
    lock.unlock();
    std::string error;
    if (runs) error = run_step(place);
    // Releases the memory of the executable as soon as the step is done, outside the lock.
    place.executable.reset();
    lock.lock();
    if (runs) failure_ = std::move(error);
    ++done_;
    changed_.notify_all();
  }
}

std::string CpuBackend::run_step(InFlight& place) {
  place.n_tokens = 0;
  place.times.clear();
  run_copies(place.copies);
  const CpuExecutable& executable = *place.executable;
  for (const Task& task : executable.tasks) {
    try {
      const auto begin = std::chrono::steady_clock::now();
      task.run({task.node, task.operands, task.scratch, place.step, pool_,
                executable.context.precision, products_});
      if (executable.measured)
        place.times.push_back(time_of(task, place.step, std::chrono::steady_clock::now() - begin));
    } catch (const std::exception& error) {
      const Node& node = task.node.node();
      return fmt::format("cpu: {} [{}]: {}", op_info(node).name, node.label, error.what());
    }
  }
  if (executable.result == nullptr) return {};
  place.n_tokens = place.step.n_segments;
  std::copy_n(executable.result, place.n_tokens, place.tokens.begin());
  return {};
}

CpuOptions resolve(CpuOptions options) {
  if (options.n_threads == 0) options.n_threads = options.reference ? 1 : usable_cores();
  return options;
}

}  // namespace

std::shared_ptr<const BackendDescription> describe_cpu(const CpuOptions& options) {
  return std::make_shared<CpuDescription>(resolve(options).n_threads,
                                          products_of(options) == nullptr, options.reference);
}

std::shared_ptr<Backend> open_cpu_backend(const CpuOptions& options) {
  const CpuOptions resolved = resolve(options);
  if (resolved.n_threads < 1 || resolved.n_threads > 1024)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[cpu] threads: expected 1..1024, got {}", resolved.n_threads));
  return std::make_shared<CpuBackend>(resolved);
}

std::string instruction_set(const CpuOptions& options) {
  return products_of(options) == nullptr ? "" : simd_targets().front();
}

std::uint64_t items_run(const Backend& backend, int thread) {
  const auto* cpu = dynamic_cast<const CpuBackend*>(&backend);
  BX_ASSERT(cpu != nullptr, "items_run is asked of a CPU backend");
  return cpu->pool().items_run(thread);
}

}  // namespace bitaxon::cpu
