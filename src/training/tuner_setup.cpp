#include <algorithm>

#include "training/initial_adapter.h"
#include "training/tuner_impl.h"

namespace bitaxon {
namespace {

constexpr std::size_t kZeroBytes = std::size_t{1} << 20;

AdapterSet without_dropout(AdapterSet set) {
  for (AdaptedLinear& layer : set.layers) layer.dropout.p = 0;
  return set;
}

}  // namespace

Tuner::Impl::Impl(BaseModel model, std::shared_ptr<Backend> device, const TunerOptions& how)
    : backend(std::move(device)), options(how), base(std::move(model)) {
  const auto description = backend->description();
  plan = plan_tuner(base, *description, options);
  check_memory(plan, base, *description);
  evaluated = without_dropout(plan.adapter);
  allocate();
  draw_parameters();
}

void Tuner::Impl::allocate() {
  weights = base.load(*backend, options.max_tokens, options.on_progress);
  base.checkpoint.reset();
  base.read = {};
  layout = std::make_shared<StateLayout>(plan.layout);
  for (const StateTensor& tensor : layout->tensors)
    state.push_back(backend->allocate(tensor.size_bytes, BufferUse::state));
  arena = backend->allocate(plan.arena_bytes, BufferUse::activations);
  zeros = backend->allocate(kZeroBytes, BufferUse::state);
  backend->upload(zeros, 0, std::vector<std::byte>(kZeroBytes));
  const auto n_groups = layout->page_groups.size();
  const auto n_pages = static_cast<std::size_t>(plan.sizes.n_pages);
  table_words = n_groups * (static_cast<std::size_t>(kMaxSegments) + n_pages) + 64;
  for (const std::int32_t index : {plan.index.parameters, plan.index.norms, plan.index.gradients,
                                   plan.index.first_moment, plan.index.second_moment})
    clear(index);
  for (const AdaptedLinear& layer : plan.adapter.layers) {
    const std::int64_t rank = layer.place.rank;
    ranges.push_back({layer.path + ".lora_a", {layer.n_in, rank}, layer.place.a});
    ranges.push_back({layer.path + ".lora_b", {rank, layer.n_out}, layer.place.b});
    if (layer.place.is_dora != 0)
      ranges.push_back({layer.path + ".m", {layer.n_out}, layer.place.m});
  }
}

void Tuner::Impl::draw_parameters() {
  std::vector<float> values(static_cast<std::size_t>(plan.adapter.n_parameters), 0.0F);
  for (const AdaptedLinear& layer : plan.adapter.layers)
    draw_lora_a(options.seed, layer.dropout.index, layer.n_in,
                std::span(values).subspan(layer.place.a,
                                          static_cast<std::size_t>(layer.n_in) * layer.place.rank));
  write(plan.index.parameters, values);
  if (!plan.adapter.is_dora()) return;
  // B is 0, so the norms are those of the base's rows, with which m begins.
  refresh_norms();
  const std::vector<float> norms = read(plan.index.norms, plan.adapter.n_norms);
  for (const AdaptedLinear& layer : plan.adapter.layers)
    std::copy_n(norms.begin() + layer.place.norm, layer.n_out, values.begin() + layer.place.m);
  write(plan.index.parameters, values);
}

std::vector<float> Tuner::Impl::read(std::int32_t index, std::int64_t n) {
  finish();
  std::vector<float> values(static_cast<std::size_t>(n));
  backend->download(buffer(index), 0, std::as_writable_bytes(std::span(values)));
  return values;
}

void Tuner::Impl::write(std::int32_t index, std::span<const float> values) {
  finish();
  backend->upload(buffer(index), 0, std::as_bytes(values));
}

void Tuner::Impl::clear(std::int32_t index) {
  std::vector<BufferCopy> copies;
  const Buffer& to = buffer(index);
  for (std::size_t at = 0; at < to.size_bytes; at += kZeroBytes)
    copies.push_back({zeros, 0, to, at, std::min(kZeroBytes, to.size_bytes - at)});
  backend->copy(copies);
}

std::int32_t Tuner::Impl::index_of(ParameterVector vector) const {
  switch (vector) {
    case ParameterVector::value:
      return plan.index.parameters;
    case ParameterVector::gradient:
      return plan.index.gradients;
    case ParameterVector::first_moment:
      return plan.index.first_moment;
    case ParameterVector::second_moment:
      break;
  }
  return plan.index.second_moment;
}

}  // namespace bitaxon
