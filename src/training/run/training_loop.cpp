#include "training/run/training_loop.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "bitaxon/error.h"
#include "platform/printable.h"
#include "training/run/metrics_file.h"
#include "training/run/progress_lines.h"

namespace bitaxon {
namespace {

/// So many dropped updates in a row end the run.
constexpr std::int64_t kMostSkippedInRow = 3;

/// Thrown between two parts of the work, so that the update is given up.
struct Interrupted {};

/// The sequences of an update, and the examples that they come from.
struct UpdateInput {
  std::vector<TrainSequence> sequences;
  std::vector<std::size_t> examples;
  std::int64_t n_targets = 0;
};

class TrainingLoop {
 public:
  TrainingLoop(const LoopSettings& settings, const TrainingTarget& target, const TrainingData& data,
               RunFolder& folder, const AdapterMetadata& adapter, RunState state,
               const RunWorld& world)
      : settings_(settings),
        target_(target),
        data_(data),
        folder_(folder),
        adapter_(adapter),
        state_(std::move(state)),
        world_(world),
        metrics_(folder.metrics_file()),
        is_saved_(std::filesystem::exists(folder.step_folder(state_.step))),
        seconds_before_(state_.seconds),
        pauses_before_(state_.pause_seconds),
        begin_seconds_(world.time.now()),
        first_step_(state_.step),
        thermal_(settings.thermal, world.sensor, interruptible(world.time),
                 [this](const ThermalEvent& event) { tell(event); }) {}

  RunResult run() {
    add_metrics(event_metrics(state_.step > 0 ? "resume" : "start", state_));
    RunResult result;
    try {
      result.end = train();
    } catch (const Interrupted&) {
      result.end = RunEnd::interrupted;
    } catch (const TooHot&) {
      result.end = RunEnd::too_hot;
      result.temperature = thermal_.temperature().value_or(0);
    }
    finish(result);
    return result;
  }

 private:
  // ---- the order of the work

  RunEnd train() {
    while (true) {
      const bool is_last = state_.step >= settings_.optimizer.max_steps || is_data_finished_;
      if (is_evaluation_due(is_last)) evaluate();
      if (!is_saved_ && state_.step > 0 && state_.step % settings_.save_every == 0) save();
      if (settings_.patience > 0 && state_.evaluations_since_best >= settings_.patience)
        return RunEnd::patience;
      if (is_last) return RunEnd::finished;
      update();
      if (state_.skipped_in_row >= kMostSkippedInRow) return RunEnd::not_finite;
    }
  }

  /// Saves, however the run ended.
  void finish(RunResult& result) {
    count_time();
    if (result.end == RunEnd::not_finite) state_.skipped_in_row = 0;  // another try after a resume
    if (!is_saved_) save();
    AdapterMetadata adapter = adapter_;
    adapter.step = state_.step;
    write_adapter(folder_.adapter_file(), target_, adapter, world_.between_writes);
    Json line = event_metrics("stop", state_);
    constexpr const char* kNames[] = {"finished", "patience", "interrupted", "too hot",
                                      "not finite"};
    line["reason"] = kNames[static_cast<std::size_t>(result.end)];
    add_metrics(line);
    result.adapter = folder_.adapter_file();
    result.state = state_;
  }

  // ---- updates

  UpdateInput next_input() {
    UpdateInput input;
    for (std::int64_t i = 0; i < settings_.grad_accum_steps; ++i) {
      MicroBatch micro = data_.next();
      if (micro.sequences.empty()) {
        is_data_finished_ = true;
        break;
      }
      std::ranges::move(micro.sequences, std::back_inserter(input.sequences));
      input.examples.insert(input.examples.end(), micro.examples.begin(), micro.examples.end());
      input.n_targets += micro.n_targets;
    }
    return input;
  }

  void update() {
    if (world_.before_update) world_.before_update(state_.step);
    before_part();
    const double begin = world_.time.now(), paused = thermal_.paused_seconds();
    const UpdateInput input = next_input();
    if (input.n_targets == 0) {  // nothing to learn from
      state_.place = data_.position();
      return;
    }
    const UpdateResult result =
        target_.update(input.sequences, settings_.optimizer, [this] { before_part(); });
    state_.place = data_.position();
    is_saved_ = false;
    if (!result.applied) return drop(result, input);
    const double seconds = world_.time.now() - begin - (thermal_.paused_seconds() - paused);
    count(result, input, seconds);
  }

  void count(const UpdateResult& result, const UpdateInput& input, double seconds) {
    state_.step = target_.n_updates();
    state_.loss = result.loss;
    state_.grad_norm = result.grad_norm;
    state_.learning_rate = result.learning_rate;
    state_.tokens += result.n_tokens;
    state_.target_tokens += result.n_targets;
    state_.skipped_in_row = 0;
    count_time();
    const bool is_orpo = settings_.objective == Objective::orpo;
    means_.add(result, is_orpo ? std::ssize(input.sequences) / 2 : 0, seconds);
    const Measured measured{seconds > 0 ? static_cast<double>(result.n_tokens) / seconds : 0,
                            world_.memory_bytes ? world_.memory_bytes() : 0,
                            thermal_.temperature()};
    add_metrics(update_metrics(state_, result, settings_.objective, settings_.beta, measured));
    if (state_.step % settings_.log_every != 0 && state_.step != max_steps()) return;
    world_.progress(step_line(state_.step, max_steps(), settings_.objective, result, means_,
                              measured, left_seconds()));
    means_.clear();
  }

  /// Tells of an update that was dropped, with the lines of its examples.
  void drop(const UpdateResult& result, const UpdateInput& input) {
    ++state_.skipped;
    ++state_.skipped_in_row;
    count_time();
    std::vector<std::string> places;
    for (const std::size_t example : input.examples) {
      std::string place = data_.place_of(example);
      if (std::ranges::find(places, place) == places.end()) places.push_back(std::move(place));
    }
    Json line = event_metrics("skip", state_);
    line["loss"] = finite_or_null(result.loss);
    line["grad_norm"] = finite_or_null(result.grad_norm);
    line["examples"] = places;
    add_metrics(line);
    constexpr std::size_t kMostPlaces = 8;
    const std::size_t n_more = places.size() > kMostPlaces ? places.size() - kMostPlaces : 0;
    places.resize(places.size() - n_more);
    world_.note(
        fmt::format("step {}: expected a finite loss and gradient, got loss {} and gradient norm "
                    "{}: the update "
                    "is dropped; its examples: {}{}",
                    state_.step + 1, result.loss, result.grad_norm, fmt::join(places, ", "),
                    n_more > 0 ? fmt::format(" and {} more", n_more) : ""));
  }

  // ---- evaluations

  bool is_evaluation_due(bool is_last) const {
    if (!data_.validation || state_.step == 0 || state_.evaluated_step == state_.step) return false;
    return is_last || state_.step % settings_.eval_every == 0;
  }

  void evaluate() {
    const std::function<MicroBatch()> next = data_.validation();
    EvaluationMeans means;
    for (MicroBatch batch = next(); !batch.sequences.empty(); batch = next()) {
      before_part();
      means.add(target_.evaluate(batch.sequences, [this] { before_part(); }), batch.n_tokens);
    }
    const double loss = means.loss();
    const bool is_best = std::isfinite(loss) && (!state_.best || loss < state_.best->loss);
    state_.evaluated_step = state_.step;
    state_.evaluations_since_best = is_best ? 0 : state_.evaluations_since_best + 1;
    if (is_best) state_.best = {state_.step, loss};
    count_time();
    is_saved_ = false;
    add_metrics(evaluation_metrics(state_, settings_.objective, means));
    world_.progress(evaluation_line(state_.step, max_steps(), settings_.objective, means, is_best));
    if (is_best) write(folder_.best_folder());
  }

  // ---- checkpoints

  void write(const std::filesystem::path& target) {
    AdapterMetadata adapter = adapter_;
    adapter.step = state_.step;
    folder_.put(target, [&](const std::filesystem::path& temporary) {
      write_checkpoint(temporary, target_, adapter, state_, world_.between_writes);
    });
  }

  void save() {
    write(folder_.step_folder(state_.step));
    is_saved_ = true;
    folder_.prune(state_.step, settings_.keep_last);
  }

  void add_metrics(const Json& line) {
    metrics_.add(line);
    if (world_.on_metrics) world_.on_metrics(line);
  }

  // ---- time and heat

  ThermalControl::Time interruptible(const ThermalControl::Time& time) {
    return {time.now, [this, sleep = time.sleep](double seconds) {
              constexpr double kPieceSeconds = 0.1;  // Ctrl-C must not wait for a long poll
              for (; seconds > 0; seconds -= kPieceSeconds) {
                expect_no_interrupt();
                sleep(std::min(seconds, kPieceSeconds));
              }
              expect_no_interrupt();
            }};
  }

  void expect_no_interrupt() const {
    if (world_.interrupted) throw Interrupted();
  }

  void before_part() {
    expect_no_interrupt();
    thermal_.before_part();
  }

  void tell(const ThermalEvent& event) {
    using Kind = ThermalEvent::Kind;
    switch (event.kind) {
      case Kind::sensor_missing:
        return world_.note("no temperature sensor: thermal control is off");
      case Kind::sensor_found:
        return world_.note(fmt::format("temperature sensor: {:.0f} C: thermal control is on again",
                                       event.temperature));
      case Kind::sensor_lost:
        return world_.note(
            "warning: the temperature sensor gives no reading: thermal control is off");
      case Kind::paused:
        return world_.note(fmt::format("paused at {:.0f} C, until {:.0f} C", event.temperature,
                                       settings_.thermal.resume));
      case Kind::resumed:
        break;
    }
    world_.note(fmt::format("resumed at {:.0f} C after {}", event.temperature,
                            duration_text(event.seconds)));
    Json line = event_metrics("pause", state_);
    line["temperature"] = event.temperature;
    line["seconds"] = event.seconds;
    add_metrics(line);
  }

  void count_time() {
    const double paused = thermal_.paused_seconds();
    state_.seconds = seconds_before_ + (world_.time.now() - begin_seconds_);
    state_.pause_seconds = pauses_before_ + paused;
  }

  std::int64_t max_steps() const { return settings_.optimizer.max_steps; }
  double left_seconds() const {
    const double per_step =
        (world_.time.now() - begin_seconds_) /
        static_cast<double>(std::max<std::int64_t>(state_.step - first_step_, 1));
    return per_step * static_cast<double>(max_steps() - state_.step);
  }

  const LoopSettings& settings_;
  const TrainingTarget& target_;
  const TrainingData& data_;
  RunFolder& folder_;
  const AdapterMetadata& adapter_;
  RunState state_;
  const RunWorld& world_;
  MetricsFile metrics_;
  bool is_saved_;
  bool is_data_finished_ = false;
  double seconds_before_, pauses_before_, begin_seconds_;
  std::int64_t first_step_;
  LineMeans means_;
  ThermalControl thermal_;
};

}  // namespace

RunResult run_training(const LoopSettings& settings, const TrainingTarget& target,
                       const TrainingData& data, RunFolder& folder, const AdapterMetadata& adapter,
                       RunState state, const RunWorld& world) {
  return TrainingLoop(settings, target, data, folder, adapter, std::move(state), world).run();
}

}  // namespace bitaxon
