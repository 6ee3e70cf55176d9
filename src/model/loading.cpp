// Loads a model from files or from a seed onto a backend.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "bitaxon/error.h"
#include "core/mix64.h"
#include "core/plan.h"
#include "formats/safetensors.h"
#include "model/base_hash.h"
#include "model/memory_need.h"
#include "model/model_folder.h"
#include "model/model_impl.h"
#include "model/quantize_weights.h"
#include "model/random_weights.h"
#include "platform/printable.h"

namespace bitaxon {

std::string_view name_of(Precision precision) {
  return precision == Precision::exact ? "exact" : "fast";
}

void Model::Impl::check_options() const {
  const auto max_run_ahead = static_cast<int>(backend.caps().max_run_ahead);
  if (options.run_ahead < 0 || options.run_ahead > max_run_ahead)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("run-ahead: expected 0..{}, got {}", max_run_ahead, options.run_ahead));
  if (options.n_slots < 1 || options.n_slots > kMaxSlots)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("slots: expected 1..{}, got {}", kMaxSlots, options.n_slots));
  if (options.n_forks < 0 || options.n_forks > kMaxSlots - options.n_slots)
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("forks: expected 0..{}, got {}", kMaxSlots - options.n_slots, options.n_forks));
  if (options.context && (*options.context < 1 || *options.context > spec.max_seq_len))
    throw Error(ErrorKind::invalid_argument, fmt::format("context: expected 1..{} tokens, got {}",
                                                         spec.max_seq_len, *options.context));
}

/// Chooses the precision and the size of the arena, and refuses a model that does not fit.
void Model::Impl::prepare_loading(const std::vector<FoundWeight>& found) {
  precision = precision_for(found, options, backend.caps().always_exact);
  ModelNeed need =
      model_need(spec, found, options, *backend.description(), adapter ? &adapter->set : nullptr);
  arena_bytes = need.arena_bytes;
  context = need.context;
  if (need.memory.fits()) return;
  std::string problem = fmt::format("{}: {}", backend.caps().name, problem_of(need.memory));
  if (need.bytes_per_token > 0)
    problem += fmt::format("; a context of {} tokens takes {} per token", context,
                           bytes_text(need.bytes_per_token));
  throw OutOfMemory(problem, std::move(need.memory));
}

void Model::Impl::load(std::vector<FoundWeight> found, const ReadWeight& read) {
  prepare_loading(found);
  weights = pack_weights(found, spec, read, backend, options.on_progress);
  pack_made_weights(spec, context, backend, weights);
}

/// Marks matrices for quantization while they are read, if the options ask for it.
std::vector<FoundWeight> Model::Impl::quantized(std::vector<FoundWeight> found,
                                                std::string_view name,
                                                std::vector<std::string>& warnings) {
  if (!options.quantize.empty())
    quantize_found(spec,
                   {.format = four_bit_format(options.quantize),
                    .group_size = options.quantize_group_size,
                    .bits = options.quantize_bits},
                   name, found, warnings);
  return found;
}

void Model::Impl::count_weights() {
  std::vector<const Weight*> counted;
  std::map<std::string, std::uint64_t> by_format;
  for (const WeightSlot& slot : weight_slots(spec)) {
    const Weight* weight = weights.find(slot.key).get();
    if (weight == nullptr) continue;  // an optional weight that the checkpoint lacks
    if (std::find(counted.begin(), counted.end(), weight) != counted.end()) continue;
    counted.push_back(weight);
    packed_bytes += weight->packed_bytes;
    by_format[weight->format] += weight->stored_bytes;
  }
  const auto by_bytes = [](const auto& a, const auto& b) { return a.second < b.second; };
  main_format = std::max_element(by_format.begin(), by_format.end(), by_bytes)->first;
}

/// Adds a line if the context is shorter than the model allows and nobody asked for that.
void Model::Impl::warn_of_context(std::vector<std::string>& warnings) const {
  if (options.context || context == spec.max_seq_len) return;
  warnings.push_back(fmt::format(
      "the memory holds a context of {} tokens, the model allows {}: a token takes {} of keys and "
      "values",
      context, spec.max_seq_len, bytes_text(bitaxon::bytes_per_token(pool->layout()))));
}

/// Uploads the adapter's parameters and computes the norms of DoRA.
void Model::Impl::upload_adapter() {
  const StateIndex& index = pool->index();
  const auto buffer = [&](std::int32_t i) { return pool->buffer(static_cast<std::size_t>(i)); };
  backend.upload(buffer(index.adapter_parameters), 0,
                 std::as_bytes(std::span(adapter->parameters)));
  if (!adapter->set.is_dora()) return;
  auto graph = std::make_shared<Graph>();
  const auto state = [&](std::int32_t i) { return graph->state(pool->layout(), i); };
  record_norms(*graph, weights,
               {.set = &adapter->set,
                .parameters = state(index.adapter_parameters),
                .norms = state(index.adapter_norms)});
  const auto plan = schedule(graph, *backend.description());
  const Executable executable =
      backend.compile(plan, {.arena = backend.allocate(plan->arena_bytes, BufferUse::activations),
                             .state = pool->buffers(),
                             .table_words = pool->table_words(),
                             .precision = Precision::exact,
                             .state_layout = pool->shared_layout()});
  backend.wait(backend.submit(executable, single_row_step()));
}

void Model::Impl::finish_loading() {
  // A saved state belongs to the model with this adapter.
  if (adapter) weights.fingerprint = mix64(weights.fingerprint ^ adapter->hash());
  outstanding.reserve(backend.caps().max_run_ahead + 2);
  count_weights();
  pool = std::make_shared<StatePool>(
      spec, shared_backend,
      StatePoolOptions{.n_slots = options.n_slots,
                       .n_forks = options.n_forks,
                       .run_ahead = options.run_ahead,
                       .kv_dtype = precision == Precision::exact ? DType::f32 : DType::f16,
                       .fingerprint = weights.fingerprint,
                       .context = context,
                       .adapter = adapter ? &adapter->set : nullptr});
  if (adapter) upload_adapter();
  steps.emplace(spec, weights, *pool, precision, options.plan_reuse, arena_bytes);
}

Model Model::load(std::shared_ptr<Backend> backend, const ModelFiles& files,
                  const LoadOptions& options, std::vector<std::string>& warnings) {
  // The weights are opened before config.json is read, because errors of the weights have better
  // messages. For example, they say that a folder is empty or that a file is an LFS pointer.
  const Checkpoint checkpoint = open_checkpoint(files);
  auto impl = std::make_unique<Impl>(std::move(backend), load_spec(files, warnings), options);
  impl->check_options();
  const std::string name = printable_path(files.weights.string());
  auto found = find_weights(impl->spec, checkpoint, name, warnings);
  if (!options.adapter.empty())
    impl->adapter = load_adapter(options.adapter, options.adapter_scale,
                                 base_hash(impl->spec, &checkpoint), impl->spec, found, warnings);
  impl->vocab_mapping = vocab_mapping_of(checkpoint.metadata(), files);
  // With a mapping, the ids in the file are those of the tokenizer.
  if (impl->vocab_mapping.empty())
    for (const std::int32_t id : generation_ends(files)) impl->spec.ends.push_back(id);
  impl->load(impl->quantized(std::move(found), name, warnings), reader_of(checkpoint));
  impl->finish_loading();
  impl->warn_of_context(warnings);
  return Model(std::move(impl));
}

Model Model::random(std::shared_ptr<Backend> backend, const ModelSpec& spec, std::uint64_t seed,
                    const LoadOptions& options) {
  auto impl = std::make_unique<Impl>(std::move(backend), spec, options);
  impl->check_options();
  std::vector<std::string> unused;  // random weights are for tests and measurements
  impl->load(impl->quantized(random_found(spec), "random", unused), random_reader(spec, seed));
  impl->finish_loading();
  return Model(std::move(impl));
}

Model Model::random_codes(std::shared_ptr<Backend> backend, const ModelSpec& spec,
                          std::uint64_t seed, const LoadOptions& options) {
  auto impl = std::make_unique<Impl>(std::move(backend), spec, options);
  impl->check_options();
  const RandomForm form{.codes = Quantization{.format = four_bit_format(options.quantize)},
                        .vectors = DType::f16};
  impl->load(random_found(spec, form), random_reader(spec, seed));
  impl->finish_loading();
  return Model(std::move(impl));
}

}  // namespace bitaxon
