#include "bitaxon/benchmark.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "bitaxon/error.h"
#include "bitaxon/step_limits.h"
#include "core/backend.h"
#include "core/mix64.h"
#include "generate/decoder.h"
#include "platform/host_memory.h"
#include "session/device_temperature.h"

namespace bitaxon {

std::vector<ProfiledOp> profiled_ops(const std::vector<OpTime>& times) {
  std::map<std::string, ProfiledOp> all;
  for (const OpTime& time : times) {
    ProfiledOp& op = all[time.op];
    op.op = time.op;
    ++op.calls;
    op.time_us += time.time_ns * 1e-3;
    op.bytes += time.bytes;
    op.flops += time.flops;
  }
  std::vector<ProfiledOp> ops;
  for (const auto& [name, op] : all) ops.push_back(op);
  std::ranges::stable_sort(ops, std::greater<>(), &ProfiledOp::time_us);
  return ops;
}

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kSeed = 1;
constexpr int kProfiledSteps = 5;
/// The most measurements of a device's rates. A measurement takes a fraction of a second or more.
constexpr std::int64_t kMostRateMeasurements = 10;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The most rows that each sequence of a batch can have in one step.
std::int64_t rows_of_step(std::int64_t batch_size) { return kMaxRows / batch_size; }

StepOutput output_of(BenchKind kind) {
  return kind == BenchKind::prefill ? StepOutput::last_logits : StepOutput::token;
}

/// Calls step(n_rows, position, output) for each step of a test.
template <class Step>
void for_each_step(const BenchTest& test, std::int64_t batch_size, const Step& step) {
  const std::int64_t most = test.kind == BenchKind::decode ? 1 : rows_of_step(batch_size);
  for (std::int64_t done = 0; done < test.n_tokens;) {
    const std::int64_t n_rows = std::min(most, test.n_tokens - done);
    const bool is_last = done + n_rows == test.n_tokens;
    const bool has_output = is_last || test.kind == BenchKind::decode;
    step(n_rows, test.position + done, has_output ? output_of(test.kind) : StepOutput::none);
    done += n_rows;
  }
}

/// The sequences of a batch on one device.
class Batch {
 public:
  /// A run ends early once `interrupted` is set. It may be null.
  Batch(Model& model, std::int64_t batch_size, const std::atomic<bool>* interrupted)
      : model_(model), interrupted_(interrupted), ids_(sizes(batch_size)) {
    for (std::int64_t i = 0; i < batch_size; ++i) states_.push_back(model.new_state());
  }

  /// Brings the states to the position where the test begins. This time is not measured.
  void prepare(const BenchTest& test);
  /// Runs the test. Returns its time in seconds.
  double run(const BenchTest& test);
  /// Runs one step of a prepared test and waits for it.
  void step(const BenchTest& test, std::int64_t n_rows);
  std::int64_t size() const { return std::ssize(states_); }
  bool is_interrupted() const { return interrupted_ != nullptr && *interrupted_; }

 private:
  static std::size_t sizes(std::int64_t batch_size) { return static_cast<std::size_t>(batch_size); }
  /// The input of a step that feeds `n_rows` rows to each sequence.
  std::span<const SegmentInput> segments(std::int64_t n_rows, StepOutput output);
  /// Throws Error(device) if one of the tokens says that its logits were not finite.
  void check(std::span<const std::int32_t> tokens) const;
  void feed(const BenchTest& test);
  void decode(std::int64_t n_tokens);

  Model& model_;
  const std::atomic<bool>* interrupted_;
  std::vector<State> states_;
  std::vector<std::vector<std::int32_t>> ids_;
  std::vector<SegmentInput> segments_;
};

void Batch::prepare(const BenchTest& test) {
  if (test.made_up_state)
    for (std::size_t i = 0; i < states_.size(); ++i)
      states_[i].synthesize(test.position, kSeed + i);
  else if (test.kind != BenchKind::decode)
    for (State& state : states_) state.reset();
}

std::span<const SegmentInput> Batch::segments(std::int64_t n_rows, StepOutput output) {
  const auto vocab_size = static_cast<std::uint64_t>(model_.spec().vocab_size);
  segments_.clear();
  for (std::size_t i = 0; i < states_.size(); ++i) {
    SegmentInput& segment = segments_.emplace_back();
    segment.state = &states_[i];
    segment.output = output;
    segment.sampler.seed = kSeed + i;
    // With empty ids, the step feeds back the sampled token.
    if (n_rows == 1 && states_[i].has_sampled_token()) continue;
    const std::uint64_t stream = mix64(i) + static_cast<std::uint64_t>(states_[i].position());
    ids_[i].clear();
    for (std::uint64_t row = 0; row < static_cast<std::uint64_t>(n_rows); ++row)
      ids_[i].push_back(static_cast<std::int32_t>(mix64(stream + row) % vocab_size));
    segment.ids = ids_[i];
  }
  return segments_;
}

void Batch::check(std::span<const std::int32_t> tokens) const {
  for (const std::int32_t token : tokens)
    if (token < 0)
      throw Error(ErrorKind::device,
                  model_.backend().caps().name + ": expected finite logits, got NaN or Inf");
}

void Batch::feed(const BenchTest& test) {
  std::optional<Ticket> last;
  for_each_step(test, size(), [&](std::int64_t n_rows, std::int64_t, StepOutput output) {
    if (!is_interrupted()) last = model_.submit(segments(n_rows, output));
  });
  if (last) check(model_.wait(*last).tokens);
}

void Batch::decode(std::int64_t n_tokens) {
  const auto first = segments(1, StepOutput::token);
  Decoder decoder(model_, {first.begin(), first.end()}, {.max_tokens = n_tokens});
  for (std::int64_t i = 0; i < n_tokens && !is_interrupted(); ++i) check(decoder.next());
  if (is_interrupted()) model_.backend().finish();  // the decoder has submitted steps ahead
}

double Batch::run(const BenchTest& test) {
  prepare(test);
  const Clock::time_point start = Clock::now();
  if (test.kind == BenchKind::decode)
    decode(test.n_tokens);
  else
    feed(test);
  return seconds_since(start);
}

void Batch::step(const BenchTest& test, std::int64_t n_rows) {
  check(model_.wait(model_.submit(segments(n_rows, output_of(test.kind)))).tokens);
}

BenchedDevice describe(const BenchSubject& subject) {
  const Model& model = *subject.model;
  const BackendCaps& caps = model.backend().caps();
  BenchedDevice device;
  device.selector = subject.selector;
  device.backend = caps.name;
  device.name = caps.device;
  device.driver = caps.driver;
  device.n_threads = caps.n_threads;
  device.precision = model.precision();
  device.format = model.main_format();
  device.weight_bytes = model.packed_bytes();
  device.state_bytes = model.state_bytes();
  device.activation_bytes = model.arena_bytes();
  return device;
}

/// Records the current and the peak memory of a device.
void note_memory(const Backend& backend, BenchedDevice& device) {
  if (const std::optional<std::uint64_t> peak = backend.peak_bytes()) {
    device.active_bytes = device.weight_bytes + device.state_bytes + device.activation_bytes;
    device.peak_bytes = *peak;
  } else {
    device.active_bytes = resident_bytes();
    device.peak_bytes = peak_resident_bytes();
  }
  // The system may update its peak late.
  device.peak_bytes = std::max(device.peak_bytes, device.active_bytes);
}

/// The rate at which a step of `n_rows` rows of all sequences can compute. Only steps of several rows
/// use matrix units.
BenchRate arithmetic_of(const Model& model, const DeviceRates& rates, std::int64_t n_rows) {
  const bool has_faster_units = rates.matrix_flops_per_s > rates.f32_flops_per_s;
  return model.precision() == Precision::fast && n_rows > 1 && has_faster_units
             ? BenchRate::matrix
             : BenchRate::float32;
}

/// Fills in the work and the limit of a record. A limit needs the rates of reading and computing.
void judge(Model& model, std::int64_t batch_size, const DeviceRates& rates, BenchRecord& record) {
  record.n_tokens = record.test.n_tokens * batch_size;
  record.work = {};
  record.seconds_at = {};
  BenchLimit limit;
  for_each_step(
      record.test, batch_size, [&](std::int64_t n_rows, std::int64_t position, StepOutput output) {
        const StepWork work = model.work(n_rows, batch_size, position, {output});
        record.work.stored_bytes += work.stored_bytes;
        record.work.flops += work.flops;
        double longest = 0;
        const auto add = [&](BenchRate rate, double amount, double per_second) {
          if (per_second <= 0) return;
          record.seconds_at[static_cast<std::size_t>(rate)] += amount / per_second;
          longest = std::max(longest, amount / per_second);
        };
        add(BenchRate::read, static_cast<double>(work.stored_bytes), rates.read_bytes_per_s);
        const BenchRate arithmetic = arithmetic_of(model, rates, n_rows * batch_size);
        add(arithmetic, static_cast<double>(work.flops),
            arithmetic == BenchRate::matrix ? rates.matrix_flops_per_s : rates.f32_flops_per_s);
        if (rates.dispatch_s > 0)
          add(BenchRate::launches, static_cast<double>(record.n_dispatches), 1 / rates.dispatch_s);
        limit.seconds += longest;
      });
  limit.rate = static_cast<BenchRate>(std::ranges::max_element(record.seconds_at) -
                                      record.seconds_at.begin());
  if (rates.read_bytes_per_s > 0 && rates.f32_flops_per_s > 0) record.limit = limit;
}

/// The profile of one step of a test. Runs the step several times and takes the fastest run, which
/// was disturbed least.
BenchProfile profile(Batch& batch, Backend& backend, BenchTest test) {
  BenchProfile best;
  best.kind = test.kind;
  best.n_rows =
      test.kind == BenchKind::decode ? 1 : std::min(test.n_tokens, rows_of_step(batch.size()));
  best.position = test.position;
  test.made_up_state = best.has_made_up_state();
  // The first run does not count, because it compiles the step.
  for (int i = 0; i <= kProfiledSteps; ++i) {
    batch.prepare(test);
    batch.step(test, best.n_rows);
    BenchProfile found = best;
    found.ops = profiled_ops(backend.last_step_times());
    if (i > 0 && (best.ops.empty() || found.time_us() < best.time_us())) best = std::move(found);
  }
  return best;
}

/// Profiles the last prefill test and the last decode test. These are usually the tests of the
/// longest prompt.
void add_profiles(Batch& batch, Model& model, const std::vector<BenchTest>& tests,
                  BenchedDevice& device) {
  model.measure_ops(true);
  for (const BenchKind kind : {BenchKind::prefill, BenchKind::decode}) {
    const auto is_of_kind = [&](const BenchTest& test) { return test.kind == kind; };
    const auto last = std::find_if(tests.rbegin(), tests.rend(), is_of_kind);
    if (last != tests.rend()) device.profiles.push_back(profile(batch, model.backend(), *last));
  }
  model.measure_ops(false);
}

}  // namespace

std::string_view name_of(BenchRate rate) {
  switch (rate) {
    case BenchRate::read:
      return "read";
    case BenchRate::float32:
      return "float32";
    case BenchRate::matrix:
      return "matrix";
    case BenchRate::launches:
      break;
  }
  return "launches";
}

void RateRange::add(const DeviceRates& rates) {
  ++n_measured;
  const auto add_one = [&](double DeviceRates::*member, bool more_is_better) {
    if (rates.*member <= 0) return;
    if (best.*member <= 0) {
      best.*member = worst.*member = rates.*member;
      return;
    }
    const auto [less, more] = std::minmax({best.*member, worst.*member, rates.*member});
    best.*member = more_is_better ? more : less;
    worst.*member = more_is_better ? less : more;
  };
  add_one(&DeviceRates::read_bytes_per_s, true);
  add_one(&DeviceRates::f32_flops_per_s, true);
  add_one(&DeviceRates::matrix_flops_per_s, true);
  add_one(&DeviceRates::dispatch_s, false);
}

void RateRange::add(const RateRange& more) {
  const int n = n_measured + more.n_measured;
  add(more.best);
  add(more.worst);
  n_measured = n;
}

std::optional<double> Spread::relative() const {
  if (n < 2) return std::nullopt;
  return (max - min) / median;
}

Spread spread_of(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back(), values.size()};
}

double BenchProfile::time_us() const {
  double sum = 0;
  for (const ProfiledOp& op : ops) sum += op.time_us;
  return sum;
}

std::vector<BenchedDevice> measure(
    std::span<const BenchSubject> subjects, const BenchWish& wish,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& on_progress,
    const std::atomic<bool>* interrupted) {
  const std::vector<BenchTest> tests = tests_of(wish);
  std::vector<BenchedDevice> devices;
  std::vector<Batch> batches;
  for (const BenchSubject& subject : subjects) {
    devices.push_back(describe(subject));
    batches.emplace_back(*subject.model, wish.batch_size, interrupted);
    for (const BenchTest& test : tests) devices.back().records.emplace_back().test = test;
  }
  const std::size_t n_devices = subjects.size();
  std::vector<std::vector<double>> seconds(tests.size() * n_devices);
  const std::int64_t n_rounds = wish.n_warmup + wish.n_iterations;
  const std::uint64_t total = static_cast<std::uint64_t>(n_rounds) * seconds.size();
  std::uint64_t done = 0;
  const std::int64_t rounds_per_rate = 1 + (wish.n_iterations - 1) / kMostRateMeasurements;
  for (std::int64_t round = 0; round < n_rounds; ++round) {
    for (std::size_t t = 0; t < tests.size(); ++t)
      for (std::size_t d = 0; d < n_devices; ++d) {
        const double time = batches[d].run(tests[t]);
        if (batches[d].is_interrupted()) return {};
        if (round >= wish.n_warmup) seconds[t * n_devices + d].push_back(time);
        const Backend& backend = subjects[d].model->backend();
        devices[d].records[t].temperature = temperature_of(backend.caps());
        devices[d].records[t].n_dispatches = backend.last_step().dispatches;
        ++done;
        if (on_progress) on_progress(done, total);
      }
    // After round 0 every test has run once, and no rate has been measured, which takes memory.
    for (std::size_t d = 0; round == 0 && d < n_devices; ++d)
      note_memory(subjects[d].model->backend(), devices[d]);
    const std::int64_t iteration = round - wish.n_warmup;
    if (iteration < 0 || iteration % rounds_per_rate != 0) continue;
    for (std::size_t d = 0; d < n_devices; ++d)
      devices[d].rates.add(subjects[d].model->backend().measure_rates());
  }
  for (std::size_t d = 0; d < n_devices; ++d) {
    Model& model = *subjects[d].model;
    if (wish.profile) add_profiles(batches[d], model, tests, devices[d]);
    for (std::size_t t = 0; t < tests.size(); ++t)
      devices[d].records[t].seconds = spread_of(std::move(seconds[t * n_devices + d]));
    set_limits(model, wish, devices[d]);
  }
  return devices;
}

void set_limits(Model& model, const BenchWish& wish, BenchedDevice& device) {
  for (BenchRecord& record : device.records)
    judge(model, wish.batch_size, device.rates.best, record);
}

}  // namespace bitaxon
