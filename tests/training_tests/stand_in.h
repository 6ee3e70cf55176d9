// A stand-in for a model that is trained, and one for its data. Both are quick, and their numbers
// depend on everything that a checkpoint must keep: parameters, moments, the number of updates, the
// place in the data, and the numbers that dropout is drawn from.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <deque>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/mix64.h"
#include "support/temporary_folder.h"
#include "training/run/metrics_file.h"
#include "training/run/resume.h"
#include "training/run/training_loop.h"

namespace bitaxon::test {

/// An example with this id makes loss and gradient NaN.
inline constexpr std::int32_t kNotANumber = 13;

class StandInModel {
 public:
  StandInModel() {
    add("layer_0.ssm.in_proj.lora_a", {3, 2});
    add("layer_0.ssm.in_proj.lora_b", {2, 5});
    add("layer_0.ssm.in_proj.m", Shape{5});
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = random(i, 77);
  }

  TrainingTarget target() {
    return {
        .parameters = parameters_,
        .update = [this](auto sequences, const auto& optimizer,
                         const auto& part) { return update(sequences, optimizer, part); },
        .evaluate = [this](auto sequences, const auto& part) { return evaluate(sequences, part); },
        .read = [this](ParameterVector vector) { return vector_of(vector); },
        .write =
            [this](ParameterVector vector, std::span<const float> values) {
              vector_of(vector).assign(values.begin(), values.end());
            },
        .n_updates = [this] { return n_updates_; },
        .set_n_updates = [this](std::int64_t n) { n_updates_ = n; }};
  }

 private:
  void add(const char* name, Shape shape) {
    parameters_.push_back({name, shape, static_cast<std::int64_t>(values_.size())});
    values_.resize(values_.size() + static_cast<std::size_t>(shape.elements()));
    first_ = second_ = std::vector<float>(values_.size());
  }

  std::vector<float>& vector_of(ParameterVector vector) {
    return vector == ParameterVector::value          ? values_
           : vector == ParameterVector::first_moment ? first_
                                                     : second_;
  }

  /// A number from -1 to 1.
  static float random(std::uint64_t a, std::uint64_t b) {
    return static_cast<float>(static_cast<double>(mix64(a * 1000003 + b) >> 11) * 0x1p-52 - 1);
  }

  UpdateResult update(std::span<const TrainSequence> sequences, const OptimizerSettings& optimizer,
                      const std::function<void()>& before_part) {
    UpdateResult result;
    std::vector<double> gradient(values_.size());
    for (const TrainSequence& sequence : sequences) {
      before_part();
      result.n_tokens += std::ssize(sequence.ids);
      for (const std::int32_t id : sequence.ids) {
        if (id == kNotANumber) result.loss = std::numeric_limits<double>::quiet_NaN();
        for (std::size_t i = 0; i < values_.size(); ++i) {
          const bool is_dropped = random(sequence.micro_batch, i) > 0.8F;
          const double distance = double{values_[i]} - 0.01 * id;
          result.loss += std::abs(distance);
          gradient[i] += is_dropped ? 0 : distance;
        }
      }
    }
    result.n_targets = result.n_tokens;
    result.learning_rate = learning_rate_at(optimizer, n_updates_);
    result.applied = std::isfinite(result.loss);
    if (!result.applied) return result;
    for (std::size_t i = 0; i < values_.size(); ++i) {
      first_[i] = static_cast<float>(0.9 * double{first_[i]} + 0.1 * gradient[i]);
      second_[i] =
          static_cast<float>(0.999 * double{second_[i]} + 0.001 * gradient[i] * gradient[i]);
      values_[i] -=
          static_cast<float>(result.learning_rate) * first_[i] / (std::sqrt(second_[i]) + 1e-8F);
    }
    ++n_updates_;
    return result;
  }

  LossSum evaluate(std::span<const TrainSequence> sequences,
                   const std::function<void()>& before_part) const {
    LossSum sum;
    for (const TrainSequence& sequence : sequences) {
      before_part();
      sum.n_targets += std::ssize(sequence.ids);
      for (const std::int32_t id : sequence.ids)
        for (const float value : values_) sum.loss += std::abs(double{value} - 0.01 * id);
    }
    return sum;
  }

  std::vector<ParameterRange> parameters_;
  std::vector<float> values_, first_, second_;
  std::int64_t n_updates_ = 0;
};

/// Examples of one to four tokens, in another order in each epoch, one example a micro-batch.
class StandInData {
 public:
  explicit StandInData(std::size_t n_examples = 23, std::uint64_t n_epochs = 1000)
      : n_examples_(n_examples), n_epochs_(n_epochs) {}

  std::set<std::uint64_t> not_a_number = {};  ///< numbers of micro-batches that make the loss NaN

  TrainingData data(const DataPosition& begin, bool has_validation = true) {
    position_ = begin;
    TrainingData data{
        .next = [this] { return next(); },
        .position = [this] { return position_; },
        .place_of =
            [](std::size_t example) { return "train.jsonl:" + std::to_string(example + 1); },
        .validation = {}};
    if (has_validation) data.validation = [] { return validation(); };
    return data;
  }

 private:
  MicroBatch next() {
    if (position_.epoch == n_epochs_) return {};
    const std::uint64_t example =
        (position_.next_example * 5 + mix64(position_.epoch)) % n_examples_;
    MicroBatch batch = batch_of(example);
    batch.sequences[0].micro_batch = position_.micro_batch;
    if (not_a_number.contains(position_.micro_batch)) batch.sequences[0].ids[0] = kNotANumber;
    ++position_.micro_batch;
    if (++position_.next_example == n_examples_)
      position_ = {position_.epoch + 1, 0, 0, position_.micro_batch};
    return batch;
  }

  static MicroBatch batch_of(std::uint64_t example) {
    const auto id = static_cast<std::int32_t>(example + 100);
    MicroBatch batch;
    batch.sequences.push_back({std::vector<std::int32_t>(example % 4 + 1, id), {}});
    batch.examples = {static_cast<std::size_t>(example)};
    batch.n_tokens = batch.n_targets = std::ssize(batch.sequences[0].ids);
    return batch;
  }

  static std::function<MicroBatch()> validation() {
    return [n = std::uint64_t{0}]() mutable {
      ++n;
      return n <= 3 ? batch_of(n) : MicroBatch();
    };
  }

  std::uint64_t n_examples_, n_epochs_;
  DataPosition position_;
};

/// A run of the stand-ins in a folder. Only sleeping moves its clock, so that files are equal.
class StandInRun {
 public:
  explicit StandInRun(std::filesystem::path folder) : folder_(std::move(folder)) {
    settings.optimizer = {.learning_rate = 1e-2, .warmup_steps = 3, .max_steps = 40};
    settings.grad_accum_steps = 4;
    settings.save_every = 10;
    settings.eval_every = 8;
    settings.thermal.enabled = false;
  }

  LoopSettings settings;
  StandInData examples;
  bool has_validation = true;
  BetweenWrites between_writes = {};
  /// Called before each part of an update.
  std::function<void()> before_part = {};
  /// What the temperature sensor reads, one reading after the other, and then the last one again. A
  /// reading takes a second.
  std::deque<double> readings = {};
  std::vector<std::string> progress, notes;
  std::atomic<bool> interrupted{false};

  /// Begins the run, or continues it if its folder has a checkpoint.
  RunResult run(const std::filesystem::path& from = {}) {
    RunFolder folder(folder_);
    StandInModel model;
    TrainingTarget target = model.target();
    RunState state;
    if (const auto found = find_checkpoint(from.empty() ? folder_ : from)) {
      notes.insert(notes.end(), found->damaged.begin(), found->damaged.end());
      refuse_newer_checkpoints(folder_, *found);
      restore(found->checkpoint, found->folder.string(), target);
      state = found->checkpoint.state;
    }
    cut_metrics(folder.metrics_file(), state.step, state.place.micro_batch);
    wrap(target);
    const AdapterMetadata adapter{.kind = AdapterKind::dora, .rank = 2, .scale = 20};
    const RunWorld world{
        .sensor = [this] { return next_reading(); },
        .time = {[this] { return now_; }, [this](double seconds) { now_ += seconds; }},
        .memory_bytes = [] { return 0; },
        .interrupted = interrupted,
        .progress = [this](std::string_view line) { progress.emplace_back(line); },
        .note = [this](std::string_view line) { notes.emplace_back(line); },
        .between_writes = between_writes};
    return run_training(settings, target, examples.data(state.place, has_validation), folder,
                        adapter, state, world);
  }

 private:
  std::optional<double> next_reading() {
    if (readings.empty()) return std::nullopt;
    const double reading = readings.front();
    if (readings.size() > 1) readings.pop_front();
    now_ += 1;
    return reading;
  }

  void wrap(TrainingTarget& target) const {
    if (!before_part) return;
    target.update = [this, update = target.update](auto sequences, const auto& optimizer,
                                                   const auto& part) {
      return update(sequences, optimizer, [&] {
        before_part();
        part();
      });
    };
    target.evaluate = [this, evaluate = target.evaluate](auto sequences, const auto& part) {
      return evaluate(sequences, [&] {
        before_part();
        part();
      });
    };
  }

  std::filesystem::path folder_;
  double now_ = 0;
};

/// The contents of all files below a folder, by their names. Lines on events of metrics.jsonl are
/// left out, because a run that was stopped has more of them.
inline std::map<std::string, std::string> files_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    std::string text;
    for (std::string line; std::getline(in, line);)
      if (!line.starts_with("{\"event\":\"st") && !line.starts_with("{\"event\":\"resume\""))
        text += line + "\n";
    files[std::filesystem::relative(entry.path(), folder).string()] = text;
  }
  return files;
}

/// Expects equal files, without printing their bytes.
inline void expect_equal_files(const std::filesystem::path& a, const std::filesystem::path& b) {
  const auto in_a = files_of(a), in_b = files_of(b);
  for (const auto& [name, content] : in_a) {
    const auto other = in_b.find(name);
    EXPECT_TRUE(other != in_b.end() && content == other->second) << name << " differs in " << b;
  }
  for (const auto& [name, content] : in_b)
    EXPECT_TRUE(in_a.contains(name)) << name << " is only in " << b;
}

}  // namespace bitaxon::test
