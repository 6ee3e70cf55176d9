#include "bitaxon/train_benchmark.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "core/backend.h"
#include "platform/host_memory.h"
#include "session/train_base.h"
#include "training/tuner.h"

namespace bitaxon {
namespace {

template <class Work>
double seconds_of(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// A sequence whose every token is a target. Ids repeat after a prime number of tokens.
TrainSequence sequence_of(std::int64_t n_tokens, std::int64_t vocab_size) {
  TrainSequence sequence;
  for (std::int64_t i = 0; i < n_tokens; ++i) {
    sequence.ids.push_back(static_cast<std::int32_t>(i * 7919 % 9973 % vocab_size));
    sequence.labels.push_back(static_cast<std::int32_t>((i + 1) * 7919 % 9973 % vocab_size));
  }
  return sequence;
}

/// The memory of the backend's buffers on a GPU, else the memory of this process.
std::uint64_t peak_bytes_of(const Backend& backend) {
  return backend.peak_bytes().value_or(std::max(peak_resident_bytes(), resident_bytes()));
}

std::uint64_t sum_of(const std::vector<MemoryLine>& lines) {
  std::uint64_t sum = 0;
  for (const MemoryLine& line : lines) sum += line.bytes;
  return sum;
}

/// Feeds one sequence to a fresh state and waits for its logits.
void prefill(Model& model, const std::vector<std::int32_t>& ids) {
  State state = model.new_state();
  model.wait(model.feed(state, ids, StepOutput::last_logits));
}

}  // namespace

double TrainBenchmark::limit_share() const {
  const double rate = rates.best.f32_flops_per_s;
  return rate > 0 ? static_cast<double>(update_flops) / rate / update_seconds.median : 0;
}

TrainBenchmark measure_training(
    const FoundModel& found, const OpenedDevice& device, std::optional<Precision> precision,
    const TrainBenchWish& wish,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& on_progress) {
  Backend& backend = *device.backend;
  TrainBenchmark result;
  result.model = found.name;
  result.wish = wish;
  result.device = caps_of(backend).device;
  result.backend = caps_of(backend).name;
  result.n_threads = caps_of(backend).n_threads;
  TunerOptions options;
  options.precision = precision.value_or(Precision::fast);
  options.adapter = wish.adapter;
  options.max_tokens = wish.n_tokens;
  std::vector<std::string> warnings;
  BaseModel base = training_base(found, warnings);
  result.announced_bytes = sum_of(Tuner::memory_table(base, *backend.description(), options));
  Tuner tuner(std::move(base), device.backend, options);
  result.precision = tuner.precision();
  result.n_base_parameters = tuner.n_base_parameters();
  const std::vector<TrainSequence> sequences = {
      sequence_of(wish.n_tokens, tuner.spec().vocab_size)};
  result.update_flops = tuner.flops_of(sequences);
  for (const ParameterRange& range : tuner.parameters())
    result.n_parameters += range.shape.elements();
  const std::uint64_t total = static_cast<std::uint64_t>(wish.n_warmup + wish.n_iterations);
  std::uint64_t done = 0;
  const auto update = [&] { tuner.update(sequences, {}); };
  for (std::int64_t i = 0; i < wish.n_warmup; ++i) {
    update();
    if (on_progress) on_progress(++done, total);
  }
  if (wish.n_warmup == 0) update();
  result.peak_bytes = peak_bytes_of(backend);

  Session session = load_session(
      found, device, {.precision = result.precision, .run_ahead = 0, .context = wish.n_tokens});
  prefill(session.model, sequences.front().ids);
  result.rates.add(backend.measure_rates());
  std::vector<double> updates, prefills;
  for (std::int64_t i = 0; i < wish.n_iterations; ++i) {
    updates.push_back(seconds_of(update));
    prefills.push_back(seconds_of([&] { prefill(session.model, sequences.front().ids); }));
    if (on_progress) on_progress(++done, total);
  }
  result.rates.add(backend.measure_rates());
  if (wish.profile) result.ops = profiled_ops(tuner.op_times(sequences));
  result.update_seconds = spread_of(updates);
  result.prefill_seconds = spread_of(prefills);
  return result;
}

}  // namespace bitaxon
