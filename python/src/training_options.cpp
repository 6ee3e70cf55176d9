#include "training_options.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "options.h"
#include "training/setting_words.h"

namespace nb = nanobind;

namespace bitaxon::python {
namespace {

/// Sets `value` to the value of the word that an option is, if it is given.
template <class T, std::size_t n>
void take_word(const nb::dict& options, const char* key, const SettingWords<T, n>& words,
               T& value) {
  std::string text;
  take(options, key, text);
  if (!text.empty()) value = value_of_word(words, key, text);
}

template <class T, std::size_t n>
nb::list names_of(const SettingWords<T, n>& words) {
  nb::list names;
  for (const auto& [name, value] : words) names.append(nb::str(name.data(), name.size()));
  return names;
}

BatchOptions batches_of(const nb::dict& options) {
  BatchOptions batches;
  take(options, "batch_size", batches.batch_size);
  take_word(options, "packing", kPackingWords, batches.packing);
  take(options, "shuffle", batches.shuffle);
  take(options, "seed", batches.seed);
  std::int64_t n_epochs = 0, separator = 0;
  take(options, "epochs", n_epochs);
  if (n_epochs > 0) batches.epochs = static_cast<std::uint64_t>(n_epochs);
  take(options, "separator", separator);
  if (separator > 0) batches.separator = static_cast<std::int32_t>(separator);
  return batches;
}

LoopSettings loop_of(const nb::dict& options, Objective objective) {
  LoopSettings loop;
  loop.optimizer = optimizer_settings_of(options);
  loop.objective = objective;
  take(options, "beta", loop.beta);
  take(options, "grad_accum_steps", loop.grad_accum_steps);
  take(options, "save_every", loop.save_every);
  take(options, "eval_every", loop.eval_every);
  take(options, "log_every", loop.log_every);
  take(options, "keep_last", loop.keep_last);
  take(options, "patience", loop.patience);
  loop.thermal.enabled = false;  // a CoolingScheduler of Python does it
  return loop;
}

}  // namespace

AdapterSettings adapter_settings_of(const nb::dict& options) {
  AdapterSettings adapter;
  bool is_dora = true;
  take(options, "use_dora", is_dora);
  adapter.kind = is_dora ? AdapterKind::dora : AdapterKind::lora;
  take(options, "rank", adapter.rank);
  take(options, "scale", adapter.scale);
  take(options, "dropout", adapter.dropout);
  take(options, "targets", adapter.targets);
  std::int64_t n_blocks = 0;
  take(options, "last_blocks", n_blocks);
  if (n_blocks > 0) adapter.last_blocks = n_blocks;
  return adapter;
}

OptimizerSettings optimizer_settings_of(const nb::dict& options) {
  OptimizerSettings optimizer;
  take(options, "learning_rate", optimizer.learning_rate);
  take(options, "min_lr", optimizer.min_learning_rate);
  take_word(options, "schedule", kScheduleWords, optimizer.schedule);
  take(options, "warmup_steps", optimizer.warmup_steps);
  take(options, "max_steps", optimizer.max_steps);
  take(options, "weight_decay", optimizer.weight_decay);
  take(options, "max_grad_norm", optimizer.max_grad_norm);
  take(options, "bias_correction", optimizer.bias_correction);
  return optimizer;
}

DataOptions data_options_of(const nb::dict& options) {
  DataOptions out;
  take_word(options, "objective", kObjectiveWords, out.objective);
  take(options, "max_seq_len", out.max_seq_len);
  take_word(options, "train_on", kTrainOnWords, out.train_on);
  take_word(options, "mask", kMaskWords, out.mask);
  take_word(options, "unmapped", kUnmappedWords, out.unmapped);
  return out;
}

TrainRequest train_request_of(const nb::dict& options) {
  TrainRequest request;
  take(options, "device", request.device);
  take(options, "threads", request.open.n_threads);
  std::string precision, output, init, settings = "{}";
  take(options, "precision", precision);
  if (precision == "exact") request.precision = Precision::exact;
  if (precision == "fast") request.precision = Precision::fast;
  request.data_options = data_options_of(options);
  request.batches = batches_of(options);
  request.adapter = adapter_settings_of(options);
  take_word(options, "orpo_penalty", kPenaltyWords, request.orpo_penalty);
  take_word(options, "grad_checkpoint", kRecomputeWords, request.recompute);
  take(options, "seed", request.seed);
  take(options, "eval_batches", request.eval_batches);
  request.loop = loop_of(options, request.data_options.objective);
  take(options, "has_max_steps", request.has_max_steps);
  if (options.contains("output_dir")) output = path_of(options["output_dir"]);
  if (options.contains("init_adapter")) init = path_of(options["init_adapter"]);
  request.output = output;
  request.init_adapter = init;
  take(options, "settings", settings);
  request.settings = parse_json(settings, "settings");
  return request;
}

nb::dict setting_words() {
  nb::dict words;
  words["objective"] = names_of(kObjectiveWords);
  words["orpo_penalty"] = names_of(kPenaltyWords);
  words["grad_checkpoint"] = names_of(kRecomputeWords);
  words["schedule"] = names_of(kScheduleWords);
  words["packing"] = names_of(kPackingWords);
  return words;
}

}  // namespace bitaxon::python
