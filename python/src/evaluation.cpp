// How well a model predicts a text.
#include "bitaxon/evaluation.h"

#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "arrays.h"
#include "bitaxon/error.h"
#include "errors.h"
#include "loaded_model.h"
#include "parts.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace bitaxon::python {
namespace {

using Ids = std::vector<std::int32_t>;

template <class T>
T found_or_throw(std::optional<T> found) {
  if (!found) throw Cancelled();
  return *std::move(found);
}

/// The number of windows that one step may have: the model has as many states, which share the
/// memory of one context.
std::int64_t batch_size_for(LoadedModel& model, std::int64_t wanted, std::int64_t seq_length) {
  const std::int64_t that_fit = model.model().context() / std::max<std::int64_t>(1, seq_length);
  return std::clamp<std::int64_t>(
      std::min<std::int64_t>({wanted, model.n_slots(), kMaxSegments, that_fit}), 1, kMaxSegments);
}

nb::tuple to_tuple(const Perplexity& found) {
  return nb::make_tuple(found.tokens, found.nll_sum, found.nll_squares);
}

/// Runs work that uses states of its own, and nothing of Python.
template <class Result>
Result run(const std::shared_ptr<LoadedModel>& model,
           std::function<Result(LoadedModel&, const std::atomic<bool>&)> work) {
  struct Held {
    std::function<Result(LoadedModel&, const std::atomic<bool>&)> work;
    Result result;
  };
  const auto held = std::make_shared<Held>(Held{std::move(work), {}});
  model->run([model = model.get(), held](const std::atomic<bool>& cancelled) {
    model->park_all();
    held->result = held->work(*model, cancelled);
  });
  return std::move(held->result);
}

/// Scores sequences [sequences, tokens]: each token is predicted from those before it in its row.
nb::tuple score_sequences(const std::shared_ptr<LoadedModel>& model, const IdArray& array,
                          std::int64_t batch_size) {
  const auto seq_length = static_cast<std::int64_t>(array.shape(1)) - 1;
  Ids ids(array.data(), array.data() + array.size());
  return to_tuple(run<Perplexity>(model, [ids = std::move(ids), seq_length, batch_size](
                                             LoadedModel& on, const std::atomic<bool>& cancelled) {
    const EvaluationOptions options{.seq_length = seq_length,
                                    .batch_size = batch_size_for(on, batch_size, seq_length),
                                    .apart = true};
    return found_or_throw(evaluate(on.model(), nullptr, ids, options, {}, &cancelled)).model;
  }));
}

/// Scores a text, in windows of seq_length tokens.
nb::tuple score_text(const std::shared_ptr<LoadedModel>& model, const Ids& ids,
                     std::int64_t seq_length) {
  return to_tuple(run<Perplexity>(
      model, [ids, seq_length](LoadedModel& on, const std::atomic<bool>& cancelled) {
        const std::int64_t length = std::min(seq_length, on.model().context());
        const EvaluationOptions options{.seq_length = length,
                                        .batch_size = batch_size_for(on, kMaxSegments, length)};
        return found_or_throw(evaluate(on.model(), nullptr, ids, options, {}, &cancelled)).model;
      }));
}

std::vector<double> answers_after(const std::shared_ptr<LoadedModel>& model, const Ids& prompt,
                                  const std::vector<Ids>& answers) {
  return run<std::vector<double>>(
      model, [prompt, answers](LoadedModel& on, const std::atomic<bool>& cancelled) {
        return found_or_throw(score_answers(on.model(), prompt, answers, &cancelled));
      });
}

}  // namespace

void add_evaluation(nb::module_& module) {
  module.def("score_sequences", score_sequences, "model"_a, "ids"_a, "batch_size"_a);
  module.def("score_text", score_text, "model"_a, "ids"_a, "seq_length"_a);
  module.def("score_answers", answers_after, "model"_a, "prompt"_a, "answers"_a);
}

}  // namespace bitaxon::python
