#include "eager/ssm_layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "bitaxon/error.h"
#include "eager/sequences.h"

namespace bitaxon {
namespace {

std::size_t extent(const WeightHandle& weight, int axis) {
  return static_cast<std::size_t>(weight->shape[axis]);
}

/// Writes the transpose of from [rows, cols] to `to` [cols, rows].
void transpose(std::span<const float> from, std::size_t rows, std::size_t cols,
               std::span<float> to) {
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < cols; ++c) to[c * rows + r] = from[r * cols + c];
}

}  // namespace

SsmLayer::SsmLayer(std::shared_ptr<EagerDevice> device, SsmWeights weights, TimeStepClip clip)
    : device_(std::move(device)),
      weights_(std::move(weights)),
      clip_(clip),
      d_model_(extent(weights_.in_proj, 2)),
      d_inner_(extent(weights_.conv_weight, 1)),
      d_state_(extent(weights_.a_log, 2)),
      n_tail_(extent(weights_.conv_weight, 2) - 1) {
  const std::int64_t inner = weights_.conv_weight->shape[1];
  const std::int64_t width = weights_.in_proj->shape[2];
  const std::int64_t n = weights_.a_log->shape[2];
  check_shape("in_proj", weights_.in_proj, {1, 2 * inner, width});
  check_shape("x_proj", weights_.x_proj, {1, 2 * n + 1, inner});
  check_shape("dt_proj", weights_.dt_weight, {1, inner, 1});
  check_shape("A_log", weights_.a_log, {1, inner, n});
  check_shape("out_proj", weights_.out_proj, {1, width, inner});
}

void SsmLayer::make_session(std::size_t n_slots) {
  if (session_ != nullptr && n_slots <= n_slots_) return;
  session_ = nullptr;
  n_slots_ = std::bit_ceil(n_slots);
  session_ = std::make_unique<EagerSession>(device_->backend(), static_cast<std::int32_t>(n_slots_),
                                            SessionOptions{.memory = device_->memory()});
  const auto inner = static_cast<std::int64_t>(d_inner_);
  tail_ = session_->add_state(DType::f32, {static_cast<std::int64_t>(n_tail_), inner});
  h_ = session_->add_state(DType::f32, {static_cast<std::int64_t>(d_state_), inner});
}

std::vector<Tensor> SsmLayer::record(const EagerSession::Context& c) const {
  const auto weight = [&](const WeightHandle& handle) {
    return handle == nullptr ? Tensor() : c.graph.weight(handle);
  };
  const auto [u, z] = ssm_in(c.inputs[0],
                             {.norm = {},
                              .in_proj = weight(weights_.in_proj),
                              .conv_weight = weight(weights_.conv_weight),
                              .conv_bias = weight(weights_.conv_bias)},
                             0, c.state(tail_));
  const Tensor params = linear(u, weight(weights_.x_proj));
  const Tensor y = selective_scan(u, params, {}, z,
                                  {.dt_weight = weight(weights_.dt_weight),
                                   .dt_bias = weight(weights_.dt_bias),
                                   .a_log = weight(weights_.a_log),
                                   .skip = weight(weights_.skip)},
                                  {.clip = clip_}, c.state(h_));
  return {linear(y, weight(weights_.out_proj))};
}

void SsmLayer::write_states(std::size_t first, std::size_t n, const SsmState& state) {
  const std::size_t tail_size = n_tail_ * d_inner_;
  const std::size_t h_size = d_state_ * d_inner_;
  std::vector<float> transposed(h_size);
  for (std::size_t g = 0; g < n; ++g) {
    const auto slot = static_cast<std::uint32_t>(g);
    session_->write_state(tail_, slot,
                          std::span(state.tail).subspan((first + g) * tail_size, tail_size));
    transpose(std::span(state.h).subspan((first + g) * h_size, h_size), d_inner_, d_state_,
              transposed);
    session_->write_state(h_, slot, transposed);
  }
}

void SsmLayer::read_states(std::size_t first, std::size_t n, SsmState& state) {
  const std::size_t h_size = d_state_ * d_inner_;
  for (std::size_t g = 0; g < n; ++g) {
    const auto slot = static_cast<std::uint32_t>(g);
    const auto tail = session_->read_state(tail_, slot);
    std::ranges::copy(tail,
                      state.tail.begin() + static_cast<std::ptrdiff_t>((first + g) * tail.size()));
    transpose(session_->read_state(h_, slot), d_state_, d_inner_,
              std::span(state.h).subspan((first + g) * h_size, h_size));
  }
}

void SsmLayer::run_group(std::size_t first, std::size_t n, std::size_t n_rows,
                         std::span<const float> x, std::span<float> y, bool continued,
                         SsmState& state) {
  make_session(n);
  for (std::size_t g = 0; g < n; ++g)
    session_->set_position(static_cast<std::uint32_t>(g), continued ? 1 : 0);
  if (continued) write_states(first, n, state);
  for_each_step(n, n_rows, [&](std::size_t at, std::size_t n_step) {
    device_->check_cancelled();
    const std::vector<std::uint32_t> counts(n, static_cast<std::uint32_t>(n_step));
    const auto rows = gather_rows(x, {first, n}, n_rows, {at, n_step}, d_model_);
    const SessionInput inputs[] = {rows_of(rows, static_cast<std::int64_t>(d_model_))};
    const auto out =
        session_->run(counts, inputs, [&](const EagerSession::Context& c) { return record(c); })[0];
    scatter_rows(out, {first, n}, n_rows, {at, n_step}, d_model_, y);
  });
  read_states(first, n, state);
}

std::vector<float> SsmLayer::run(std::int64_t n_sequences, std::int64_t n_rows,
                                 std::span<const float> x, std::optional<SsmState>& state) {
  const auto sequences = static_cast<std::size_t>(n_sequences);
  const auto rows = static_cast<std::size_t>(n_rows);
  const std::size_t tail_size = sequences * n_tail_ * d_inner_;
  const std::size_t h_size = sequences * d_state_ * d_inner_;
  const bool continued = state.has_value();
  SsmState next = continued ? *state : SsmState{};
  if (next.tail.empty()) next.tail.assign(tail_size, 0.0F);
  if (next.h.empty()) next.h.assign(h_size, 0.0F);
  if (x.size() != sequences * rows * d_model_ || next.tail.size() != tail_size ||
      next.h.size() != h_size)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("state-space layer: expected x, tail and h of {}, {} and {} elements, "
                            "got {}, {} and {}",
                            sequences * rows * d_model_, tail_size, h_size, x.size(),
                            next.tail.size(), next.h.size()));
  std::vector<float> y(x.size());
  const auto lock = device_->lock();
  for_each_group(sequences, [&](std::size_t first, std::size_t n) {
    if (rows > 0) run_group(first, n, rows, x, y, continued, next);
  });
  state = std::move(next);
  return y;
}

}  // namespace bitaxon
