#include "eager/sample_op.h"

#include <utility>

namespace bitaxon {

SampleOp::SampleOp(Backend& backend, std::int64_t vocab_size, SamplerStructure structure)
    : backend_(backend), vocab_size_(vocab_size), layout_(std::make_shared<StateLayout>()) {
  layout_->n_slots = kMaxSegments;
  layout_->add("seen", DType::u32, {(vocab_size + 31) / 32}, 1);
  layout_->add("next_token", DType::i32, {1}, 1);
  auto graph = std::make_shared<Graph>();
  const Tensor logits = graph->input(DType::f32, {kMaxSegments, vocab_size}, RowSpace::outputs);
  graph->set_result(sample(logits, graph->state(*layout_, 0), graph->state(*layout_, 1), structure,
                           kMaxSegments));
  const auto plan = schedule(graph, *backend_.description());
  input_ = plan->values[static_cast<std::size_t>(logits.id())];
  arena_ = backend_.allocate(plan->arena_bytes, BufferUse::activations);
  for (const StateTensor& tensor : layout_->tensors)
    state_.push_back(backend_.allocate(tensor.size_bytes, BufferUse::state));
  executable_ = backend_.compile(plan, {.arena = arena_, .state = state_, .state_layout = layout_});
}

std::vector<std::int32_t> SampleOp::run(std::span<const Draw> draws) {
  StepBuffer step;
  step.n_rows = step.n_segments = static_cast<std::uint32_t>(draws.size());
  for (std::size_t g = 0; g < draws.size(); ++g) {
    backend_.upload(arena_, input_.offset_bytes + g * draws[g].logits.size_bytes(),
                    std::as_bytes(draws[g].logits));
    upload_seen(static_cast<std::uint32_t>(g), draws[g].seen);
    step.segments[g] = {.slot = static_cast<std::uint32_t>(g),
                        .first_row = static_cast<std::uint32_t>(g),
                        .n_rows = 1,
                        .position = draws[g].position - 1,
                        .sampling = draws[g].params};
  }
  return submit(step);
}

std::vector<std::int32_t> SampleOp::submit(StepBuffer step) {
  step.n_outputs = step.n_segments;
  for (std::uint32_t g = 0; g < step.n_segments; ++g) step.segments[g].sampled_output = g;
  const auto result = backend_.wait(backend_.submit(executable_, step));
  return {result.tokens.begin(), result.tokens.end()};
}

void SampleOp::upload_seen(std::uint32_t slot, const std::vector<bool>& seen) {
  std::vector<std::uint32_t> words(static_cast<std::size_t>((vocab_size_ + 31) / 32), 0);
  for (std::size_t i = 0; i < seen.size(); ++i)
    if (seen[i]) words[i / 32] |= 1U << (i % 32);
  backend_.upload(state_[0], layout_->tensors[0].slot_stride_bytes * slot,
                  std::as_bytes(std::span(words)));
}

}  // namespace bitaxon
