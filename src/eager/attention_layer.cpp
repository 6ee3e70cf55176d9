#include "eager/attention_layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "bitaxon/error.h"
#include "eager/sequences.h"

namespace bitaxon {

struct AttentionLayer::Call {
  std::size_t n_rows;
  std::span<const float> x;
  const KeysAndValues& cached;
  Result& result;
};

namespace {

/// Converts one sequence's rows [first, first + n) of heads [H, n_rows, d] to rows [n, H * d].
std::vector<float> rows_of_heads(std::span<const float> heads, std::size_t n_heads,
                                 std::size_t n_rows, IndexRange rows, std::size_t head_dim) {
  std::vector<float> out(rows.n * n_heads * head_dim);
  for (std::size_t h = 0; h < n_heads; ++h)
    for (std::size_t r = 0; r < rows.n; ++r)
      std::ranges::copy(heads.subspan((h * n_rows + rows.first + r) * head_dim, head_dim),
                        out.begin() + static_cast<std::ptrdiff_t>((r * n_heads + h) * head_dim));
  return out;
}

/// Converts rows [n_rows, H * d] to heads [H, n_rows, d].
void heads_of_rows(std::span<const float> rows, std::size_t n_heads, std::size_t head_dim,
                   std::span<float> heads) {
  const std::size_t n_rows = rows.size() / (n_heads * head_dim);
  for (std::size_t h = 0; h < n_heads; ++h)
    for (std::size_t r = 0; r < n_rows; ++r)
      std::ranges::copy(rows.subspan((r * n_heads + h) * head_dim, head_dim),
                        heads.subspan((h * n_rows + r) * head_dim).begin());
}

}  // namespace

AttentionLayer::AttentionLayer(std::shared_ptr<EagerDevice> device, AttentionWeights weights,
                               AttentionForm form)
    : device_(std::move(device)),
      weights_(std::move(weights)),
      form_(form),
      d_model_(static_cast<std::size_t>(weights_.q->shape[2])),
      n_heads_(static_cast<std::size_t>(form.n_heads)) {
  const Shape square = {1, weights_.q->shape[2], weights_.q->shape[2]};
  check_shape("q_proj", weights_.q, square);
  check_shape("k_proj", weights_.k, square);
  check_shape("v_proj", weights_.v, square);
  check_shape("o_proj", weights_.o, square);
  if (form.n_heads < 1 || square[1] % form.n_heads != 0)
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("num_heads: expected a divisor of {}, got {}", square[1], form.n_heads));
}

void AttentionLayer::make_session(std::size_t n_slots, std::size_t n_rows) {
  if (session_ != nullptr && n_slots <= n_slots_ && n_rows <= room_) return;
  session_ = nullptr;
  n_slots_ = std::bit_ceil(n_slots);
  room_ = n_rows + n_rows / 2;  // so that a growing sequence seldom needs a new session
  session_ = std::make_unique<EagerSession>(device_->backend(), static_cast<std::int32_t>(n_slots_),
                                            SessionOptions{.memory = device_->memory()});
  const auto width = static_cast<std::int64_t>(d_model_);
  keys_ = session_->add_pages(DType::f32, width, static_cast<std::int64_t>(room_));
  values_ = session_->add_pages(DType::f32, width, static_cast<std::int64_t>(room_));
}

std::vector<Tensor> AttentionLayer::record(const EagerSession::Context& c) const {
  const Tensor keys = c.state(keys_);
  const Tensor values = c.state(values_);
  const Tensor q = attn_in(c.inputs[0],
                           {.norm = {},
                            .q = c.graph.weight(weights_.q),
                            .k = c.graph.weight(weights_.k),
                            .v = c.graph.weight(weights_.v)},
                           0, keys, values);
  return {linear(attention(q, keys, values, form_), c.graph.weight(weights_.o))};
}

void AttentionLayer::run_group(const Call& call, std::size_t first, std::size_t n) {
  const std::size_t head_dim = d_model_ / n_heads_;
  const auto cached = static_cast<std::size_t>(call.cached.n_rows);
  // Rows that have left the window of the first new row are not needed.
  const std::size_t kept =
      form_.window ? std::min(cached, static_cast<std::size_t>(*form_.window)) : cached;
  make_session(n, kept + call.n_rows);
  for (std::size_t g = 0; g < n; ++g) {
    const auto slot = static_cast<std::uint32_t>(g);
    session_->set_position(slot, static_cast<std::uint32_t>(kept));
    const auto load = [&](std::int32_t tensor, std::span<const float> heads) {
      const auto own = heads.subspan((first + g) * cached * d_model_, cached * d_model_);
      session_->write_pages(tensor, slot, 0,
                            rows_of_heads(own, n_heads_, cached, {cached - kept, kept}, head_dim));
    };
    load(keys_, call.cached.keys);
    load(values_, call.cached.values);
  }
  for_each_step(n, call.n_rows, [&](std::size_t at, std::size_t n_step) {
    device_->check_cancelled();
    const std::vector<std::uint32_t> counts(n, static_cast<std::uint32_t>(n_step));
    const auto rows = gather_rows(call.x, {first, n}, call.n_rows, {at, n_step}, d_model_);
    const SessionInput inputs[] = {rows_of(rows, static_cast<std::int64_t>(d_model_))};
    const auto out =
        session_->run(counts, inputs, [&](const EagerSession::Context& c) { return record(c); })[0];
    scatter_rows(out, {first, n}, call.n_rows, {at, n_step}, d_model_, call.result.y);
  });
  const std::size_t size = call.n_rows * d_model_;
  for (std::size_t g = 0; g < n; ++g) {
    const auto store = [&](std::int32_t tensor, std::vector<float>& heads) {
      heads_of_rows(session_->read_pages(tensor, static_cast<std::uint32_t>(g),
                                         static_cast<std::int64_t>(kept),
                                         static_cast<std::int64_t>(call.n_rows)),
                    n_heads_, head_dim, std::span(heads).subspan((first + g) * size, size));
    };
    store(keys_, call.result.keys);
    store(values_, call.result.values);
  }
}

AttentionLayer::Result AttentionLayer::run(std::int64_t n_sequences, std::int64_t n_rows,
                                           std::span<const float> x, const KeysAndValues& cached) {
  const auto sequences = static_cast<std::size_t>(n_sequences);
  const std::size_t size = sequences * static_cast<std::size_t>(n_rows) * d_model_;
  const std::size_t n_cached = sequences * static_cast<std::size_t>(cached.n_rows) * d_model_;
  if (x.size() != size || cached.keys.size() != n_cached || cached.values.size() != n_cached)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("attention layer: expected x of {} elements, and keys and values of "
                            "{}; got {}, {} and {}",
                            size, n_cached, x.size(), cached.keys.size(), cached.values.size()));
  Result result{std::vector<float>(size), std::vector<float>(size), std::vector<float>(size)};
  if (n_rows == 0) return result;
  const auto lock = device_->lock();
  const Call call{static_cast<std::size_t>(n_rows), x, cached, result};
  for_each_group(sequences, [&](std::size_t first, std::size_t n) { run_group(call, first, n); });
  return result;
}

}  // namespace bitaxon
