#include "bitaxon/state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "bitaxon/error.h"
#include "core/align.h"
#include "core/half.h"
#include "core/mix64.h"
#include "model/state_file.h"
#include "model/state_impl.h"

namespace bitaxon {
namespace {

/// Adds the state tensors of blocks to a layout.
class LayoutBuilder {
 public:
  LayoutBuilder(const ModelSpec& spec, const StatePoolOptions& options, StateLayout& layout)
      : spec_(spec), options_(options), layout_(layout) {}

  BlockState add_block(std::int64_t block) {
    prefix_ = fmt::format("layer_{}.", block);
    return std::visit([&](const auto& mixer) { return add(mixer); }, spec_.block(block).mixer);
  }

 private:
  BlockState add(const AttentionSpec& attention) {
    const std::int64_t window = attention.window.value_or(spec_.max_seq_len);
    // A chunk reads window - 1 rows before its first row. Steps that are taken back may have
    // overwritten run_ahead more rows.
    const Shape ring{window + kMaxRows + options_.run_ahead, attention.kv_dim()};
    BlockState state;
    state.keys = layout_.add_ring(prefix_ + "keys", options_.kv_dtype, ring, window);
    state.values = layout_.add_ring(prefix_ + "values", options_.kv_dtype, ring, window);
    return state;
  }

  BlockState add(const SelectiveScanSpec& scan) {
    const std::int32_t versions = options_.run_ahead + 1;
    BlockState state;
    state.conv_tail =
        layout_.add(prefix_ + "conv_tail", DType::f32, {scan.d_conv - 1, scan.d_inner}, versions);
    state.h = layout_.add(prefix_ + "h", DType::f32, {scan.d_state, scan.d_inner}, versions);
    return state;
  }

  const ModelSpec& spec_;
  const StatePoolOptions& options_;
  StateLayout& layout_;
  std::string prefix_;
};

}  // namespace

StateLayout state_layout(const ModelSpec& spec, const StatePoolOptions& options,
                         StateIndex& index) {
  StateLayout layout;
  layout.n_slots = options.n_slots;
  const std::int32_t versions = options.run_ahead + 1;
  LayoutBuilder builder(spec, options, layout);
  for (std::int64_t i = 0; i < spec.n_blocks(); ++i) index.blocks.push_back(builder.add_block(i));
  index.seen = layout.add("seen", DType::u32, {divide_up(spec.vocab_size, 32)}, versions);
  index.next_token = layout.add("next_token", DType::i32, {1}, versions, StateKind::transient);
  return layout;
}

StatePool::StatePool(const ModelSpec& spec, std::shared_ptr<Backend> backend,
                     const StatePoolOptions& options)
    : backend_(std::move(backend)),
      options_(options),
      max_seq_len_(spec.max_seq_len),
      layout_(std::make_shared<StateLayout>(state_layout(spec, options, index_))) {
  for (const StateTensor& tensor : layout_->tensors)
    buffers_.push_back(backend_->allocate(tensor.size_bytes, BufferUse::state));
  for (std::int32_t slot = options.n_slots; slot-- > 0;) free_.push_back(slot);
}

std::int32_t StatePool::take_slot() {
  if (free_.empty())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[state] expected a free slot, all {} are taken", options_.n_slots));
  const std::int32_t slot = free_.back();
  free_.pop_back();
  return slot;
}

State::Impl::Impl(std::shared_ptr<StatePool> from)
    : pool(std::move(from)), slot(pool->take_slot()) {
  history.reserve(pool->n_versions());
}

std::uint32_t State::Impl::version(std::uint64_t of_step) const {
  return static_cast<std::uint32_t>(of_step % pool->n_versions());
}

void State::Impl::reset() {
  // Position 0 makes every kernel read the state as zeros.
  position = 0;
  furthest = 0;
  sampled = false;
  history.clear();
}

int State::Impl::rewindable_steps() const {
  // A ring has kMaxRows + run_ahead rows more than the window, and no more than that number of rows
  // may be taken back. Rows that are already taken back count too, because they overwrote the
  // oldest rows.
  const std::int64_t max_rows = kMaxRows + pool->options().run_ahead;
  std::int64_t rows = furthest - position;
  int n_steps = 0;
  for (auto it = history.rbegin(); it != history.rend() && rows + it->n_rows <= max_rows; ++it) {
    rows += it->n_rows;
    ++n_steps;
  }
  return n_steps;
}

void State::Impl::rewind(int n_steps) {
  if (n_steps < 0 || n_steps > rewindable_steps())
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("[state] rewind: expected 0..{} steps, got {}", rewindable_steps(), n_steps));
  for (int i = 0; i < n_steps; ++i) {
    position -= history.back().n_rows;
    sampled = history.back().sampled_before;
    history.pop_back();
  }
  step -= static_cast<std::uint64_t>(n_steps);
}

void State::Impl::check_room(std::int64_t n_rows) const {
  if (position + n_rows > pool->max_seq_len())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("a sequence of {} tokens: expected at most max_seq_len, which is {}",
                            position + n_rows, pool->max_seq_len()));
}

void State::Impl::describe_step(SegmentWords& words) const {
  words.slot = static_cast<std::uint32_t>(slot);
  words.position = static_cast<std::uint32_t>(position);
  words.read_version = version(step);
  words.write_version = version(step + 1);
}

void State::Impl::commit_step(std::int64_t n_rows, bool samples) noexcept {
  if (pool->n_versions() > 1) {
    // This step has overwritten the version that the oldest step in the history needs.
    if (history.size() + 1 == pool->n_versions()) history.erase(history.begin());
    history.push_back({n_rows, sampled});
  }
  sampled = samples;
  position += n_rows;
  furthest = std::max(furthest, position);
  ++step;
}

namespace {

/// The number of rows of a ring in a snapshot at `position`.
std::int64_t ring_rows(const StateTensor& ring, std::int64_t position) {
  return std::min(position, ring.window);
}

/// Calls `transfer` for each contiguous run of the last `n` rows of a ring. On the host, the oldest
/// row comes first.
template <class Transfer>
void for_each_ring_run(std::int64_t position, std::int64_t n, std::int64_t capacity,
                       const Transfer& transfer) {
  std::int64_t done = 0;
  while (done < n) {
    const std::int64_t row = (position - n + done) % capacity;
    const std::int64_t count = std::min(n - done, capacity - row);
    transfer(row, done, count);
    done += count;
  }
}

}  // namespace

StateSnapshot State::Impl::snapshot() const {
  StateSnapshot taken;
  taken.position = position;
  const StateLayout& layout = pool->layout();
  for (std::size_t i = 0; i < layout.tensors.size(); ++i) {
    const StateTensor& tensor = layout.tensors[i];
    std::vector<std::byte>& bytes = taken.tensors.emplace_back();
    if (tensor.kind == StateKind::transient) continue;
    const std::size_t slot_at = tensor.slot_stride_bytes * static_cast<std::size_t>(slot);
    if (tensor.kind == StateKind::ring) {
      const std::size_t row_bytes =
          static_cast<std::size_t>(tensor.shape[1]) * size_of(tensor.dtype);
      const std::int64_t n = ring_rows(tensor, position);
      bytes.resize(static_cast<std::size_t>(n) * row_bytes);
      for_each_ring_run(
          position, n, tensor.shape[0], [&](std::int64_t row, std::int64_t at, std::int64_t count) {
            pool->backend().download(
                pool->buffer(i), slot_at + static_cast<std::size_t>(row) * row_bytes,
                std::span(bytes).subspan(static_cast<std::size_t>(at) * row_bytes,
                                         static_cast<std::size_t>(count) * row_bytes));
          });
      continue;
    }
    bytes.resize(static_cast<std::size_t>(tensor.shape.elements()) * size_of(tensor.dtype));
    if (position == 0) continue;  // the state at position 0 is zeros, whatever the memory holds
    pool->backend().download(pool->buffer(i), slot_at + tensor.version_stride_bytes * version(step),
                             bytes);
  }
  return taken;
}

std::size_t State::Impl::snapshot_bytes(std::size_t tensor, std::int64_t n_tokens) const {
  const StateTensor& entry = pool->layout().tensors[tensor];
  if (entry.kind == StateKind::transient) return 0;
  const std::int64_t elements = entry.kind == StateKind::ring
                                    ? ring_rows(entry, n_tokens) * entry.shape[1]
                                    : entry.shape.elements();
  return static_cast<std::size_t>(elements) * size_of(entry.dtype);
}

void State::Impl::upload(std::size_t index, std::int64_t n_tokens,
                         const std::vector<std::byte>& bytes) {
  const StateTensor& tensor = pool->layout().tensors[index];
  const std::size_t slot_at = tensor.slot_stride_bytes * static_cast<std::size_t>(slot);
  if (tensor.kind != StateKind::ring) {
    pool->backend().upload(pool->buffer(index),
                           slot_at + tensor.version_stride_bytes * version(step), bytes);
    return;
  }
  const std::size_t row_bytes = static_cast<std::size_t>(tensor.shape[1]) * size_of(tensor.dtype);
  for_each_ring_run(n_tokens, ring_rows(tensor, n_tokens), tensor.shape[0],
                    [&](std::int64_t row, std::int64_t at, std::int64_t count) {
                      pool->backend().upload(
                          pool->buffer(index), slot_at + static_cast<std::size_t>(row) * row_bytes,
                          std::span(bytes).subspan(static_cast<std::size_t>(at) * row_bytes,
                                                   static_cast<std::size_t>(count) * row_bytes));
                    });
}

void State::Impl::restore(const StateSnapshot& snapshot) {
  const std::size_t n_tensors = pool->layout().tensors.size();
  bool fits = snapshot.tensors.size() == n_tensors && snapshot.position >= 0 &&
              snapshot.position <= pool->max_seq_len();
  for (std::size_t i = 0; fits && i < n_tensors; ++i)
    fits = snapshot.tensors[i].size() == snapshot_bytes(i, snapshot.position);
  if (!fits)
    throw Error(ErrorKind::invalid_argument,
                "[state] snapshot: expected one of a state of the same layout");
  reset();  // the state that remains if a copy fails
  for (std::size_t i = 0; i < n_tensors; ++i) upload(i, snapshot.position, snapshot.tensors[i]);
  position = snapshot.position;
  furthest = snapshot.position;
}

namespace {

/// Fills the bytes with random numbers of mean 0 that are almost normally distributed. Each number
/// is a sum of four uniform numbers.
void fill_random(DType dtype, double deviation, std::uint64_t stream, std::span<std::byte> bytes) {
  const std::size_t n = bytes.size() / size_of(dtype);
  // Each of the four numbers has a variance of 2^32 / 12.
  const auto scale = static_cast<float>(deviation * std::sqrt(3.0) * 0x1p-16);
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint64_t bits = mix64(stream + i);
    const auto sum = static_cast<std::int32_t>((bits & 0xFFFF) + (bits >> 16 & 0xFFFF) +
                                               (bits >> 32 & 0xFFFF) + (bits >> 48));
    const float value = scale * static_cast<float>(sum - 2 * 0xFFFF);
    if (dtype == DType::f16) {
      const std::uint16_t half = f32_to_f16(value);
      std::memcpy(bytes.data() + i * sizeof(half), &half, sizeof(half));
    } else {
      std::memcpy(bytes.data() + i * sizeof(value), &value, sizeof(value));
    }
  }
}

}  // namespace

void State::Impl::synthesize(std::int64_t n_tokens, std::uint64_t seed) {
  // Recurrent state decays, so its values are smaller than its inputs.
  constexpr double kRecurrentDeviation = 0.1;
  if (n_tokens < 0 || n_tokens > pool->max_seq_len())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("a state after {} tokens: expected at most max_seq_len, which is {}",
                            n_tokens, pool->max_seq_len()));
  reset();  // the state that remains if a copy fails
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < pool->layout().tensors.size(); ++i) {
    const StateTensor& tensor = pool->layout().tensors[i];
    const DType dtype = tensor.dtype;
    // The tensor `seen` keeps its zeros, which say that no token was seen.
    bytes.assign(snapshot_bytes(i, n_tokens), std::byte{0});
    if (dtype == DType::f16 || dtype == DType::f32)
      fill_random(dtype, tensor.kind == StateKind::ring ? 1.0 : kRecurrentDeviation,
                  mix64(seed + mix64(i)), bytes);
    upload(i, n_tokens, bytes);
  }
  position = n_tokens;
  furthest = n_tokens;
}

State::State(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
State::State(State&&) noexcept = default;
State& State::operator=(State&&) noexcept = default;
State::~State() = default;

std::int64_t State::position() const { return impl_->position; }
void State::reset() { impl_->reset(); }
void State::rewind(int n_steps) { impl_->rewind(n_steps); }
int State::rewindable_steps() const { return impl_->rewindable_steps(); }
StateSnapshot State::snapshot() const { return impl_->snapshot(); }
void State::restore(const StateSnapshot& snapshot) { impl_->restore(snapshot); }
void State::synthesize(std::int64_t position, std::uint64_t seed) {
  impl_->synthesize(position, seed);
}
bool State::has_sampled_token() const { return impl_->sampled; }
void State::check_room(std::int64_t n_rows) const { impl_->check_room(n_rows); }

void State::save(const std::filesystem::path& path) const {
  write_state_file(path, *impl_->pool, snapshot());
}

void State::load(const std::filesystem::path& path) {
  restore(read_state_file(path, *impl_->pool));
}

}  // namespace bitaxon
