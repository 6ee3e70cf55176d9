// Training runs.
#include "session/training.h"

#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <exception>
#include <utility>

#include "bitaxon/error.h"
#include "model/adapter_set.h"
#include "model/model_folder.h"
#include "options.h"
#include "parts.h"
#include "session/train_base.h"
#include "training_data.h"
#include "training_options.h"
#include "waiting.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace bitaxon::python {
namespace {

/// What Python wants to be trained: files of examples, or tokens.
struct GivenExamples {
  std::optional<ExampleFiles> files = {};
  std::vector<EncodedExample> tokens = {};
};

struct GivenModel {
  std::string path;  ///< empty for random weights
  std::string config, quantize;
  std::string mapping;  ///< the vocab_mapping of a model whose files lack it
  std::uint64_t seed = 0;
};

struct Given {
  GivenModel model;
  TrainRequest request;
  GivenExamples training;
  std::optional<GivenExamples> validation = {};
};

/// The functions of Python that a run calls, from its own thread. Empty ones are None.
struct Callbacks {
  nb::object before_step, on_metrics, on_line;
};

// ---- what Python passes

GivenExamples given_examples(const nb::object& examples, Objective objective) {
  GivenExamples given;
  OpenExamples* open = nullptr;
  if (nb::try_cast(examples, open) && open != nullptr)
    given.files = open->files;
  else
    given.tokens = examples_of(examples, objective);
  return given;
}

Given given(const nb::dict& model, const nb::dict& options, const nb::object& training,
            const nb::object& validation) {
  Given out;
  if (model.contains("path")) out.model.path = path_of(model["path"]);
  take(model, "config", out.model.config);
  take(model, "quantize", out.model.quantize);
  take(model, "mapping", out.model.mapping);
  take(model, "seed", out.model.seed);
  out.request = train_request_of(options);
  const Objective objective = out.request.data_options.objective;
  if (!training.is_none()) out.training = given_examples(training, objective);
  if (!validation.is_none()) out.validation = given_examples(validation, objective);
  return out;
}

// ---- in the thread of the run

FoundModel found_of(const GivenModel& given, std::vector<std::string>& warnings) {
  if (!given.path.empty()) {
    FoundModel found = find_model({.model = given.path, .quantize = given.quantize});
    if (!given.config.empty()) found.source->files.config = given.config;
    return found;
  }
  FoundModel found{.preset = describe_model(given.config, "config", warnings),
                   .name = "random weights",
                   .request = {.quantize = given.quantize, .seed = given.seed}};
  return found;
}

/// The model's own vocab_mapping, or an empty text.
std::string mapping_of(const GivenModel& given, const FoundModel& found) {
  if (!given.mapping.empty() || !found.source) return given.mapping;
  const ModelFiles& files = found.source->files;
  return vocab_mapping_of(open_checkpoint(files).metadata(), files);
}

Dataset open_examples(GivenExamples& given, const char* name, const std::string& mapping,
                      std::int64_t vocab_size, const DataOptions& options) {
  if (given.files) return given.files->open_for(mapping, vocab_size, options.max_seq_len);
  return Dataset::of_tokens(std::move(given.tokens), name, vocab_size, options);
}

/// `continues`: whether the run begins with the newest checkpoint of its folder.
TrainPlan plan_of(Given& given, const TrainListener& listener, bool continues) {
  std::vector<std::string> warnings;
  FoundModel found = found_of(given.model, warnings);
  BaseModel base = training_base(found, warnings);
  const std::string mapping = mapping_of(given.model, found);
  const std::int64_t n = base.spec.vocab_size;
  const DataOptions& options = given.request.data_options;
  Dataset training = open_examples(given.training, "dataset", mapping, n, options);
  std::optional<Dataset> validation;
  if (given.validation)
    validation = open_examples(*given.validation, "val_dataset", mapping, n, options);
  given.request.resume = true;  // a folder with checkpoints is no mistake
  if (continues) given.request.checkpoint = find_checkpoint(given.request.output);
  return plan_training(std::move(given.request),
                       {.found = std::move(found),
                        .base = std::move(base),
                        .training = std::move(training),
                        .validation = std::move(validation),
                        .warnings = std::move(warnings)},
                       listener);
}

/// A run in a thread of its own, whose callbacks are functions of Python. An exception of one of them
/// ends the run as Ctrl-C does: what was learned is saved first.
class PythonRun {
 public:
  explicit PythonRun(Callbacks callbacks) : callbacks_(std::move(callbacks)) {}

  TrainListener listener() {
    return {.progress = [this](std::string_view line) { tell("progress", line); },
            .note = [this](std::string_view line) { tell("note", line); },
            .interrupted = stop_,
            .before_update =
                [this](std::int64_t step) {
                  if (!callbacks_.before_step.is_none())
                    call([&] { callbacks_.before_step(step); });
                },
            .on_metrics =
                [this](const Json& line) {
                  if (!callbacks_.on_metrics.is_none())
                    call([&] { callbacks_.on_metrics(line.dump()); });
                }};
  }
  void tell_all(const TrainPlan& plan) {
    for (const std::string& line : plan.notes) tell("note", line);
    for (const std::string& line : plan.warnings) tell("warning", line);
  }
  /// Runs `work` and waits until it has ended. Throws what it, a callback or a signal has thrown.
  void run(Job::Work work) {
    JobQueue queue;
    const auto job = queue.post(std::move(work));
    const Drained drained([&] {
      stop_ = true;
      job->wait();
    });
    wait_for(*job, [&] {
      stop_ = true;
      const Unlocked unlocked;
      job->wait();
    });
    if (raised_) std::rethrow_exception(std::exchange(raised_, nullptr));
  }

 private:
  void tell(const char* kind, std::string_view line) {
    if (callbacks_.on_line.is_none()) return;
    call([&] { callbacks_.on_line(kind, nb::str(line.data(), line.size())); });
  }
  template <class Function>
  void call(const Function& function) {
    if (stop_) return;
    const nb::gil_scoped_acquire acquire;
    try {
      function();
    } catch (const nb::python_error&) {
      raised_ = std::current_exception();
      stop_ = true;
    }
  }

  Callbacks callbacks_;
  std::atomic<bool> stop_ = false;
  std::exception_ptr raised_;
};

std::string end_name(RunEnd end) {
  constexpr const char* kNames[] = {"finished", "patience", "interrupted", "too hot", "not finite"};
  return kNames[static_cast<std::size_t>(end)];
}

nb::dict describe(const RunResult& result, const std::vector<std::string>& layers) {
  const RunState& state = result.state;
  nb::dict out;
  out["step"] = state.step;
  out["loss"] = state.loss;
  out["grad_norm"] = state.grad_norm;
  out["adapter"] = to_path(result.adapter.string());
  out["seconds"] = state.seconds;
  out["tokens"] = state.tokens;
  out["target_tokens"] = state.target_tokens;
  out["best"] = nb::none();
  if (state.best) out["best"] = nb::make_tuple(state.best->step, state.best->loss);
  out["skipped"] = state.skipped;
  out["end"] = end_name(result.end);
  out["layers"] = layers;
  return out;
}

nb::dict train(const nb::dict& model, const nb::dict& options, const nb::object& training,
               const nb::object& validation, nb::object before_step, nb::object on_metrics,
               nb::object on_line) {
  Given inputs = given(model, options, training, validation);
  PythonRun python({std::move(before_step), std::move(on_metrics), std::move(on_line)});
  std::optional<RunResult> result;
  std::vector<std::string> layers;
  python.run([&](const std::atomic<bool>&) {
    const TrainListener listener = python.listener();
    TrainPlan plan = plan_of(inputs, listener, true);
    python.tell_all(plan);
    if (listener.interrupted) return;
    for (const AdaptedLinear& layer :
         adapter_set(plan.base.spec, plan.request.adapter, plan.request.seed).layers)
      layers.push_back(layer.path);
    result = run_plan(plan, listener);
  });
  return describe(result.value(), layers);
}

/// The mean loss on examples, and the number of targets (ORPO: of pairs).
nb::tuple evaluate_training(const nb::dict& model, const nb::dict& options,
                            const nb::object& examples) {
  Given inputs = given(model, options, examples, examples);
  PythonRun python({nb::none(), nb::none(), nb::none()});
  std::optional<LossSum> sum;
  python.run([&](const std::atomic<bool>&) {
    const TrainListener listener = python.listener();
    TrainPlan plan = plan_of(inputs, listener, false);
    sum = evaluate_plan(plan, listener);
  });
  return nb::make_tuple(sum.value().mean(), sum->n_targets);
}

/// The layers that an adapter has: their paths, in the order in which they are drawn.
std::vector<std::string> adapted_layers(const std::string& config, const nb::dict& settings) {
  std::vector<std::string> warnings, paths;
  const ModelSpec spec = describe_model(config, "config", warnings);
  for (const AdaptedLinear& layer : adapter_set(spec, adapter_settings_of(settings), 0).layers)
    paths.push_back(layer.path);
  return paths;
}

double learning_rate(const nb::dict& options, std::int64_t n_done) {
  return learning_rate_at(optimizer_settings_of(options), n_done);
}

}  // namespace

void add_training(nb::module_& module) {
  module.def("train", train, "model"_a, "options"_a, "training"_a, "validation"_a.none(),
             "before_step"_a.none(), "on_metrics"_a.none(), "on_line"_a.none());
  module.def("evaluate_training", evaluate_training, "model"_a, "options"_a, "examples"_a);
  module.def("adapted_layers", adapted_layers, "config"_a, "settings"_a);
  module.def("setting_words", setting_words);
  module.def("learning_rate_at", learning_rate, "options"_a, "n_done"_a);
}

}  // namespace bitaxon::python
