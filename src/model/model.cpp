#include "bitaxon/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "bitaxon/error.h"
#include "core/step.h"
#include "formats/pointer_file.h"
#include "formats/safetensors.h"
#include "model/memory_need.h"
#include "model/random_weights.h"
#include "model/state_pool.h"
#include "model/step_cache.h"
#include "model/weights.h"
#include "ops/op.h"
#include "platform/file.h"
#include "platform/optional_file.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

std::uint64_t q32(double fraction) {
  return static_cast<std::uint64_t>(std::llround(fraction * 0x1p32));
}

SamplerWords words_of(const SamplerParams& params) {
  SamplerWords words;
  // A temperature too small for float32 becomes 0: argmax, which is its limit.
  words.temperature = static_cast<float>(params.temperature);
  words.repetition_penalty = static_cast<float>(params.repetition_penalty);
  words.top_k = static_cast<std::uint32_t>(std::min<std::int64_t>(params.top_k, UINT32_MAX));
  words.use_top_p = params.top_p < 1 ? 1 : 0;
  words.top_p_q32 = U64Words::of(q32(params.top_p));
  words.min_p_q32 = U64Words::of(q32(params.min_p));
  words.seed = U64Words::of(params.seed);
  return words;
}

/// Rows of a segment: its ids, or the one token fed back.
std::int64_t rows_of(const SegmentInput& segment) {
  return std::max<std::int64_t>(1, std::ssize(segment.ids));
}

StepKind kind_of(std::int64_t n_rows, std::span<const SegmentInput> segments,
                 const StepOptions& options) {
  StepKind kind;
  kind.row_bucket = bucket_of(n_rows);
  kind.segment_bucket = bucket_of(std::ssize(segments));
  kind.output = options.output;
  kind.layer_outputs = options.layer_outputs;
  if (options.output != StepOutput::token) return kind;
  for (const SegmentInput& segment : segments) {
    const SamplerStructure structure = segment.sampler.structure();
    kind.sampler.penalty = kind.sampler.penalty || structure.penalty;
    kind.sampler.draw = kind.sampler.draw || structure.draw;
  }
  return kind;
}

/// Adapters are published as folders that look like a model's.
void refuse_adapter(const ModelFiles& files) {
  std::error_code error;
  if (std::filesystem::exists(files.folder / "config.json", error)) return;
  for (const char* name : {"adapter_config.json", "adapters.safetensors"})
    if (std::filesystem::exists(files.folder / name, error))
      throw Error(ErrorKind::io,
                  fmt::format("{}: expected a model, got an adapter ({}), which has to be merged "
                              "into the model that it was made for",
                              printable_path(files.folder.string()), name));
}

}  // namespace

struct Model::Impl {
  Backend& backend;
  Config config;
  LoadOptions options;
  Precision precision = Precision::exact;
  Weights weights;
  std::string vocab_mapping;
  std::uint64_t packed_bytes = 0;
  std::string main_format;
  std::size_t arena_bytes = 0;
  std::shared_ptr<StatePool> pool;
  std::optional<StepCache> steps;
  std::shared_ptr<const CompiledStep> latest;  ///< of the step submitted last
  std::int64_t latest_rows = 0;
  std::int64_t latest_segments = 0;
  std::vector<std::uint64_t> outstanding;  ///< own tickets that were not waited for, ascending
  StepBuffer step;                         ///< reused for every submission

  Impl(Backend& on, Config with, LoadOptions how)
      : backend(on), config(std::move(with)), options(std::move(how)) {}

  void check_options() const;
  std::vector<FoundWeight> quantized(std::vector<FoundWeight> found, std::string_view name);
  void prepare_loading(const std::vector<FoundWeight>& found);
  void load(std::vector<FoundWeight> found, const ReadWeight& read);
  void finish_loading();
  void count_weights();
  void check_ids(std::span<const std::int32_t> ids) const;
  std::int64_t check_segments(std::span<const SegmentInput> segments,
                              const StepOptions& wanted) const;
  void fill_step(std::span<const SegmentInput> segments);
  void submitted(Ticket ticket, std::span<const SegmentInput> segments, bool samples);
  void wait_for_latest();
};

void Model::Impl::check_options() const {
  const auto max_run_ahead = static_cast<int>(backend.caps().max_run_ahead);
  if (options.run_ahead < 0 || options.run_ahead > max_run_ahead)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("run-ahead: expected 0..{}, got {}", max_run_ahead, options.run_ahead));
  if (options.n_slots < 1 || options.n_slots > kMaxSegments)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("slots: expected 1..{}, got {}", kMaxSegments, options.n_slots));
}

/// Decides what there is to decide of a load, and refuses what cannot fit.
void Model::Impl::prepare_loading(const std::vector<FoundWeight>& found) {
  precision = precision_for(found, options, backend.caps().always_exact);
  ModelNeed need = model_need(config, found, options, backend.memory());
  arena_bytes = need.arena_bytes;
  if (need.memory.fits()) return;
  const std::string problem = fmt::format("{}: {}", backend.caps().name, problem_of(need.memory));
  throw OutOfMemory(problem, std::move(need.memory));
}

void Model::Impl::load(std::vector<FoundWeight> found, const ReadWeight& read) {
  prepare_loading(found);
  pack_weights(found, config, read, backend, options.on_progress, weights);
}

/// Makes matrices four bits while they are read, where that was asked for.
std::vector<FoundWeight> Model::Impl::quantized(std::vector<FoundWeight> found,
                                                std::string_view name) {
  if (!options.quantize.empty())
    quantize_found(config, {.format = four_bit_format(options.quantize)}, name, weights, found);
  return found;
}

void Model::Impl::count_weights() {
  std::vector<const Weight*> counted;
  std::map<std::string, std::uint64_t> by_format;
  for (const WeightSlot& slot : weight_slots(config, weights)) {
    const Weight* weight = slot.target->get();
    if (std::find(counted.begin(), counted.end(), weight) != counted.end()) continue;
    counted.push_back(weight);
    packed_bytes += weight->packed_bytes;
    by_format[weight->format] += weight->stored_bytes;
  }
  const auto by_bytes = [](const auto& a, const auto& b) { return a.second < b.second; };
  main_format = std::max_element(by_format.begin(), by_format.end(), by_bytes)->first;
}

void Model::Impl::finish_loading() {
  outstanding.reserve(backend.caps().max_run_ahead + 2);
  count_weights();
  pool = std::make_shared<StatePool>(
      config, backend,
      StatePoolOptions{.n_slots = options.n_slots,
                       .run_ahead = options.run_ahead,
                       .kv_dtype = precision == Precision::exact ? DType::f32 : DType::f16,
                       .fingerprint = weights.fingerprint});
  steps.emplace(config, weights, *pool, precision == Precision::fast, options.plan_reuse,
                arena_bytes);
}

void Model::Impl::check_ids(std::span<const std::int32_t> ids) const {
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] >= config.vocab_size)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("token id at index {}: expected 0..{}, got {}", i,
                              config.vocab_size - 1, ids[i]));
}

std::int64_t Model::Impl::check_segments(std::span<const SegmentInput> segments,
                                         const StepOptions& wanted) const {
  if (segments.empty() || segments.size() > static_cast<std::size_t>(kMaxSegments))
    throw Error(ErrorKind::invalid_argument, fmt::format("[step] segments: expected 1..{}, got {}",
                                                         kMaxSegments, segments.size()));
  std::int64_t n_rows = 0;
  for (const SegmentInput& segment : segments) {
    check_ids(segment.ids);
    n_rows += rows_of(segment);
    if (wanted.output == StepOutput::token) segment.sampler.validate();
    if (segment.state == nullptr || segment.state->pool_ != pool)
      throw Error(ErrorKind::invalid_argument,
                  "[step] state: expected a state of this model, got another's");
    segment.state->check_room(rows_of(segment));
    if (segment.ids.empty() && !segment.state->has_sampled_token())
      throw Error(ErrorKind::invalid_argument,
                  "[step] ids: expected at least one where the step before sampled no token, got "
                  "none");
    for (const SegmentInput& other : segments)
      if (&other != &segment && other.state == segment.state)
        throw Error(ErrorKind::invalid_argument,
                    "[step] state: expected each state once, got one twice");
  }
  if (n_rows > kMaxRows)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[step] rows: expected 1..{}, got {}", kMaxRows, n_rows));
  return n_rows;
}

void Model::Impl::fill_step(std::span<const SegmentInput> segments) {
  step.n_segments = static_cast<std::uint32_t>(segments.size());
  std::uint32_t row = 0;
  for (std::size_t g = 0; g < segments.size(); ++g) {
    const SegmentInput& segment = segments[g];
    SegmentWords& words = step.segments[g];
    words.first_row = row;
    words.ids_from_state = segment.ids.empty() ? 1 : 0;
    words.sampling = words_of(segment.sampler);
    std::copy(segment.ids.begin(), segment.ids.end(), step.ids.begin() + row);
    words.n_rows = static_cast<std::uint32_t>(rows_of(segment));
    segment.state->describe_step(words);
    row += words.n_rows;
  }
  step.n_rows = row;
}

/// The states follow only now: a submission that was refused has changed nothing.
void Model::Impl::submitted(Ticket ticket, std::span<const SegmentInput> segments, bool samples) {
  outstanding.push_back(ticket.number);
  for (const SegmentInput& segment : segments)
    segment.state->commit_step(rows_of(segment), samples);
}

void Model::Impl::wait_for_latest() {
  if (!outstanding.empty()) backend.wait({outstanding.back()});
  outstanding.clear();
}

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

ModelFiles model_files(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::is_directory(status)) return {path, path};
  if (std::filesystem::is_regular_file(status))
    return {path, path.has_parent_path() ? path.parent_path() : std::filesystem::path(".")};
  refuse_broken_link(path);
  throw Error(ErrorKind::io,
              fmt::format("{}: expected a model directory or a safetensors file, got {}",
                          printable_path(path.string()),
                          std::filesystem::exists(status) ? "something else" : "nothing there"));
}

std::string vocab_mapping_of(const std::map<std::string, std::string>& metadata,
                             const ModelFiles& files) {
  const auto entry = metadata.find("vocab_mapping");
  if (entry == metadata.end()) return {};
  if (entry->second.empty())
    throw Error(ErrorKind::format,
                fmt::format("{}: vocab_mapping: expected a map of ids, got an empty text",
                            printable_path(files.weights.string())));
  return entry->second;
}

Config load_config(const ModelFiles& files, std::vector<std::string>& warnings, std::string* text) {
  const std::filesystem::path path = files.folder / "config.json";
  refuse_adapter(files);
  const std::string json = read_whole_file(path, std::uint64_t{1} << 20);
  refuse_pointer_or_empty(json, path);
  if (text != nullptr) *text = json;
  return Config::parse(json, printable_path(path.string()), warnings);
}

Model Model::load(Backend& backend, const ModelFiles& files, const LoadOptions& options,
                  std::vector<std::string>& warnings) {
  // The weights are opened first: what a folder without them is (empty, a pointer file) is the
  // better message.
  const Checkpoint checkpoint = Checkpoint::open(files.weights);
  auto impl = std::make_unique<Impl>(backend, load_config(files, warnings), options);
  impl->check_options();
  const std::string name = printable_path(files.weights.string());
  auto found = find_weights(impl->config, checkpoint, name, impl->weights, warnings);
  impl->load(impl->quantized(std::move(found), name), reader_of(checkpoint));
  impl->vocab_mapping = vocab_mapping_of(checkpoint.metadata(), files);
  impl->finish_loading();
  return Model(std::move(impl));
}

Model Model::random(Backend& backend, const Config& config, std::uint64_t seed,
                    const LoadOptions& options) {
  config.validate("config");
  auto impl = std::make_unique<Impl>(backend, config, options);
  impl->check_options();
  impl->load(impl->quantized(random_found(config, impl->weights), "random"),
             random_reader(config, seed));
  impl->finish_loading();
  return Model(std::move(impl));
}

Model Model::random_codes(Backend& backend, const Config& config, std::uint64_t seed,
                          const LoadOptions& options) {
  config.validate("config");
  auto impl = std::make_unique<Impl>(backend, config, options);
  impl->check_options();
  const RandomForm form{.codes = Quantization{.format = four_bit_format(options.quantize)},
                        .vectors = DType::f16};
  impl->load(random_found(config, impl->weights, form), random_reader(config, seed));
  impl->finish_loading();
  return Model(std::move(impl));
}

const Config& Model::config() const { return impl_->config; }
Backend& Model::backend() const { return impl_->backend; }
Precision Model::precision() const { return impl_->precision; }
int Model::run_ahead() const { return impl_->options.run_ahead; }
const std::string& Model::vocab_mapping() const { return impl_->vocab_mapping; }
std::uint64_t Model::packed_bytes() const { return impl_->packed_bytes; }
std::uint64_t Model::state_bytes() const { return impl_->pool->layout().total_bytes(); }
std::uint64_t Model::arena_bytes() const { return impl_->arena_bytes; }
const std::string& Model::main_format() const { return impl_->main_format; }

State Model::new_state() { return State(impl_->pool); }

void Model::check_ids(std::span<const std::int32_t> ids) const { impl_->check_ids(ids); }

Ticket Model::submit(std::span<const SegmentInput> segments, const StepOptions& options) {
  const std::int64_t n_rows = impl_->check_segments(segments, options);
  std::shared_ptr<const CompiledStep> step = impl_->steps->find(kind_of(n_rows, segments, options));
  // More steps than the backend keeps in flight: the oldest has to be done first.
  if (impl_->outstanding.size() > impl_->backend.caps().max_run_ahead)
    wait({impl_->outstanding.front()});
  impl_->fill_step(segments);
  const Ticket ticket = impl_->backend.submit(step->compiled->executable, impl_->step);
  impl_->submitted(ticket, segments, options.output == StepOutput::token);
  impl_->latest = std::move(step);
  impl_->latest_rows = n_rows;
  impl_->latest_segments = std::ssize(segments);
  return ticket;
}

StepResult Model::wait(Ticket ticket) {
  std::erase_if(impl_->outstanding, [&](std::uint64_t number) { return number <= ticket.number; });
  return impl_->backend.wait(ticket);
}

Ticket Model::feed(State& state, std::span<const std::int32_t> ids, const StepOptions& options,
                   const SamplerParams& sampler) {
  // All of it before the first chunk, so that a refused call has changed nothing.
  impl_->check_ids(ids);
  if (options.output == StepOutput::token) sampler.validate();
  if (ids.empty())
    throw Error(ErrorKind::invalid_argument, "[feed] ids: expected at least one, got none");
  state.check_room(std::ssize(ids));
  Ticket ticket;
  while (!ids.empty()) {
    const auto chunk = ids.first(std::min<std::size_t>(ids.size(), kMaxRows));
    ids = ids.subspan(chunk.size());
    const SegmentInput segment{&state, chunk, sampler};
    ticket = submit({&segment, 1}, ids.empty() ? options : StepOptions{StepOutput::none, false});
  }
  return ticket;
}

namespace {

/// Copies the valid rows of an output of the latest step to the host.
void read_output(Backend& backend, const CompiledStep& step, const Tensor& tensor,
                 std::span<float> out) {
  const CompiledPlan& compiled = *step.compiled;
  const auto id = static_cast<std::size_t>(tensor.id());
  backend.download(compiled.arena, compiled.plan->values[id].offset_bytes,
                   std::as_writable_bytes(out));
}

void check_room_for(const char* what, std::span<const float> out, std::int64_t n_values) {
  if (std::ssize(out) != n_values)
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("[{}] out: expected room for {} numbers, got {}", what, n_values, out.size()));
}

}  // namespace

void Model::read_logits(std::span<float> out) {
  const bool asked = impl_->latest != nullptr && !impl_->latest->graph.logits.empty() &&
                     impl_->latest->kind.output != StepOutput::token;
  if (!asked)
    throw Error(ErrorKind::invalid_argument,
                "[read_logits] expected a latest step that was asked for logits");
  const bool all = impl_->latest->kind.output == StepOutput::all_logits;
  const std::int64_t rows = all ? impl_->latest_rows : impl_->latest_segments;
  check_room_for("read_logits", out, rows * impl_->config.vocab_size);
  impl_->wait_for_latest();
  read_output(impl_->backend, *impl_->latest, impl_->latest->graph.logits, out);
}

void Model::read_layer(std::int64_t layer, std::span<float> out) {
  if (impl_->latest == nullptr || !impl_->latest->kind.layer_outputs || layer < 0 ||
      layer >= impl_->config.num_layers)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[read_layer] expected a latest step that was asked for layer outputs, "
                            "and a layer from 0 to {}, got layer {}",
                            impl_->config.num_layers - 1, layer));
  check_room_for("read_layer", out, impl_->latest_rows * impl_->config.hidden_dim);
  impl_->wait_for_latest();
  read_output(impl_->backend, *impl_->latest,
              impl_->latest->graph.layers[static_cast<std::size_t>(layer)], out);
}

void Model::prepare(std::int64_t n_rows, const StepOptions& options, const SamplerParams& sampler) {
  if (n_rows < 1 || n_rows > kMaxRows)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[prepare] rows: expected 1..{}, got {}", kMaxRows, n_rows));
  const SegmentInput segment{nullptr, {}, sampler};
  impl_->steps->find(kind_of(n_rows, {&segment, 1}, options));
}

StepWork Model::work(std::int64_t n_rows, std::int64_t n_segments, std::int64_t position,
                     const StepOptions& options, const SamplerParams& sampler) {
  const std::int64_t all_rows = n_rows * n_segments;
  if (n_rows < 1 || n_segments < 1 || n_segments > kMaxSegments || all_rows > kMaxRows)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[work] rows: expected 1..{} in 1..{} segments, got {} in {}", kMaxRows,
                            kMaxSegments, all_rows, n_segments));
  const std::vector<SegmentInput> segments(static_cast<std::size_t>(n_segments),
                                           SegmentInput{nullptr, {}, sampler});
  const auto step = impl_->steps->find(kind_of(all_rows, segments, options));
  const Plan& plan = *step->compiled->plan;
  Cost total;
  for (const std::int32_t index : plan.order) {
    const Node& node = plan.graph->nodes()[static_cast<std::size_t>(index)];
    total += op_info(node).cost(*plan.graph, node, {all_rows, n_segments, position});
  }
  return {.stored_bytes = total.stored_bytes, .flops = total.flops};
}

void Model::measure_ops(bool wanted) {
  impl_->wait_for_latest();
  impl_->backend.measure_ops(wanted);
  // What was compiled before would go on as it was.
  impl_->steps->forget();
}

Model::PlanSizes Model::plan_sizes(std::int64_t n_rows, const StepOptions& options) {
  SegmentInput greedy;
  greedy.sampler.temperature = 0;
  const auto step = impl_->steps->find(kind_of(n_rows, {&greedy, 1}, options));
  return {step->compiled->plan->arena_bytes, step->compiled->plan->unshared_bytes};
}

}  // namespace bitaxon
