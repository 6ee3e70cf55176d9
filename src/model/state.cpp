#include "bitaxon/state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "bitaxon/error.h"
#include "core/assert.h"
#include "core/half.h"
#include "core/step.h"
#include "model/random_weights.h"
#include "model/state_file.h"
#include "model/state_pool.h"

namespace bitaxon {
namespace {

/// Adds the state tensors of blocks.
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
    // A chunk reads window - 1 rows before its first; a step that is taken back may have
    // overwritten run_ahead more.
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
  index.seen = layout.add("seen", DType::u32, {(spec.vocab_size + 31) / 32}, versions);
  index.next_token = layout.add("next_token", DType::i32, {1}, versions, StateKind::transient);
  return layout;
}

StatePool::StatePool(const ModelSpec& spec, Backend& backend, const StatePoolOptions& options)
    : backend_(backend),
      options_(options),
      max_seq_len_(spec.max_seq_len),
      layout_(std::make_shared<StateLayout>(state_layout(spec, options, index_))) {
  for (const StateTensor& tensor : layout_->tensors)
    buffers_.push_back(backend.allocate(tensor.size_bytes, BufferUse::state));
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

State::State(std::shared_ptr<StatePool> pool) : pool_(std::move(pool)), slot_(pool_->take_slot()) {
  history_.reserve(pool_->n_versions());
}

State::State(State&& other) noexcept { *this = std::move(other); }

State& State::operator=(State&& other) noexcept {
  if (this == &other) return *this;
  if (pool_ != nullptr) pool_->give_back(slot_);
  pool_ = nullptr;
  std::swap(pool_, other.pool_);
  std::swap(slot_, other.slot_);
  std::swap(position_, other.position_);
  std::swap(step_, other.step_);
  std::swap(history_, other.history_);
  std::swap(sampled_, other.sampled_);
  std::swap(furthest_, other.furthest_);
  return *this;
}

State::~State() {
  if (pool_ != nullptr) pool_->give_back(slot_);
}

std::uint32_t State::version(std::uint64_t step) const {
  return static_cast<std::uint32_t>(step % pool_->n_versions());
}

void State::reset() {
  // Position 0 makes every kernel read the state as zeros.
  position_ = 0;
  furthest_ = 0;
  sampled_ = false;
  history_.clear();
}

int State::rewindable_steps() const {
  // Rings keep kMaxRows + run_ahead rows more than the window: no more rows may be taken back. Rows
  // taken back before count until they are overwritten, for they have overwritten the oldest.
  const std::int64_t max_rows = kMaxRows + pool_->options().run_ahead;
  std::int64_t rows = furthest_ - position_;
  int n_steps = 0;
  for (auto it = history_.rbegin(); it != history_.rend() && rows + it->n_rows <= max_rows; ++it) {
    rows += it->n_rows;
    ++n_steps;
  }
  return n_steps;
}

void State::rewind(int n_steps) {
  if (n_steps < 0 || n_steps > rewindable_steps())
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("[state] rewind: expected 0..{} steps, got {}", rewindable_steps(), n_steps));
  for (int i = 0; i < n_steps; ++i) {
    position_ -= history_.back().n_rows;
    sampled_ = history_.back().sampled_before;
    history_.pop_back();
  }
  step_ -= static_cast<std::uint64_t>(n_steps);
}

void State::check_room(std::int64_t n_rows) const {
  if (position_ + n_rows > pool_->max_seq_len())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("a sequence of {} tokens: expected at most max_seq_len, which is {}",
                            position_ + n_rows, pool_->max_seq_len()));
}

void State::describe_step(SegmentWords& words) const {
  words.slot = static_cast<std::uint32_t>(slot_);
  words.position = static_cast<std::uint32_t>(position_);
  words.read_version = version(step_);
  words.write_version = version(step_ + 1);
}

void State::commit_step(std::int64_t n_rows, bool samples) noexcept {
  if (pool_->n_versions() > 1) {
    // The oldest step that could be taken back is the one whose version this one has overwritten.
    if (history_.size() + 1 == pool_->n_versions()) history_.erase(history_.begin());
    history_.push_back({n_rows, sampled_});
  }
  sampled_ = samples;
  position_ += n_rows;
  furthest_ = std::max(furthest_, position_);
  ++step_;
}

namespace {

/// Rows of a ring that a snapshot at `position` holds.
std::int64_t ring_rows(const StateTensor& ring, std::int64_t position) {
  return std::min(position, ring.window);
}

/// Copies the last `n` rows of a ring out of, or into, its slot; oldest first on the host.
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

StateSnapshot State::snapshot() const {
  StateSnapshot snapshot;
  snapshot.position = position_;
  const StateLayout& layout = pool_->layout();
  for (std::size_t i = 0; i < layout.tensors.size(); ++i) {
    const StateTensor& tensor = layout.tensors[i];
    std::vector<std::byte>& bytes = snapshot.tensors.emplace_back();
    if (tensor.kind == StateKind::transient) continue;
    const std::size_t slot_at = tensor.slot_stride_bytes * static_cast<std::size_t>(slot_);
    if (tensor.kind == StateKind::ring) {
      const std::size_t row_bytes =
          static_cast<std::size_t>(tensor.shape[1]) * size_of(tensor.dtype);
      const std::int64_t n = ring_rows(tensor, position_);
      bytes.resize(static_cast<std::size_t>(n) * row_bytes);
      for_each_ring_run(
          position_, n, tensor.shape[0],
          [&](std::int64_t row, std::int64_t at, std::int64_t count) {
            pool_->backend().download(
                pool_->buffer(i), slot_at + static_cast<std::size_t>(row) * row_bytes,
                std::span(bytes).subspan(static_cast<std::size_t>(at) * row_bytes,
                                         static_cast<std::size_t>(count) * row_bytes));
          });
      continue;
    }
    bytes.resize(static_cast<std::size_t>(tensor.shape.elements()) * size_of(tensor.dtype));
    if (position_ == 0) continue;  // counts as zeros, whatever the memory holds
    pool_->backend().download(pool_->buffer(i),
                              slot_at + tensor.version_stride_bytes * version(step_), bytes);
  }
  return snapshot;
}

std::size_t State::snapshot_bytes(std::size_t tensor, std::int64_t position) const {
  const StateTensor& entry = pool_->layout().tensors[tensor];
  if (entry.kind == StateKind::transient) return 0;
  const std::int64_t elements = entry.kind == StateKind::ring
                                    ? ring_rows(entry, position) * entry.shape[1]
                                    : entry.shape.elements();
  return static_cast<std::size_t>(elements) * size_of(entry.dtype);
}

void State::upload(std::size_t index, std::int64_t position, const std::vector<std::byte>& bytes) {
  const StateTensor& tensor = pool_->layout().tensors[index];
  const std::size_t slot_at = tensor.slot_stride_bytes * static_cast<std::size_t>(slot_);
  if (tensor.kind != StateKind::ring) {
    pool_->backend().upload(pool_->buffer(index),
                            slot_at + tensor.version_stride_bytes * version(step_), bytes);
    return;
  }
  const std::size_t row_bytes = static_cast<std::size_t>(tensor.shape[1]) * size_of(tensor.dtype);
  for_each_ring_run(position, ring_rows(tensor, position), tensor.shape[0],
                    [&](std::int64_t row, std::int64_t at, std::int64_t count) {
                      pool_->backend().upload(
                          pool_->buffer(index), slot_at + static_cast<std::size_t>(row) * row_bytes,
                          std::span(bytes).subspan(static_cast<std::size_t>(at) * row_bytes,
                                                   static_cast<std::size_t>(count) * row_bytes));
                    });
}

void State::restore(const StateSnapshot& snapshot) {
  const std::size_t n_tensors = pool_->layout().tensors.size();
  bool fits = snapshot.tensors.size() == n_tensors && snapshot.position >= 0 &&
              snapshot.position <= pool_->max_seq_len();
  for (std::size_t i = 0; fits && i < n_tensors; ++i)
    fits = snapshot.tensors[i].size() == snapshot_bytes(i, snapshot.position);
  if (!fits)
    throw Error(ErrorKind::invalid_argument,
                "[state] snapshot: expected one of a state of the same layout");
  reset();  // what remains when a copy fails
  for (std::size_t i = 0; i < n_tensors; ++i) upload(i, snapshot.position, snapshot.tensors[i]);
  position_ = snapshot.position;
  furthest_ = snapshot.position;
}

namespace {

/// About normally distributed numbers of mean 0: sums of four uniform ones.
void fill_random(DType dtype, double deviation, std::uint64_t stream, std::span<std::byte> bytes) {
  const std::size_t n = bytes.size() / size_of(dtype);
  // Each of the four has a variance of 2^32 / 12.
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

void State::synthesize(std::int64_t position, std::uint64_t seed) {
  // Recurrent state decays; where a model has been for long it is smaller than what goes in.
  constexpr double kRecurrentDeviation = 0.1;
  if (position < 0 || position > pool_->max_seq_len())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("a state after {} tokens: expected at most max_seq_len, which is {}",
                            position, pool_->max_seq_len()));
  reset();  // what remains when a copy fails
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < pool_->layout().tensors.size(); ++i) {
    const StateTensor& tensor = pool_->layout().tensors[i];
    const DType dtype = tensor.dtype;
    // No token counts as seen.
    bytes.assign(snapshot_bytes(i, position), std::byte{0});
    if (dtype == DType::f16 || dtype == DType::f32)
      fill_random(dtype, tensor.kind == StateKind::ring ? 1.0 : kRecurrentDeviation,
                  mix64(seed + mix64(i)), bytes);
    upload(i, position, bytes);
  }
  position_ = position;
  furthest_ = position;
}

void State::save(const std::filesystem::path& path) const {
  write_state_file(path, *pool_, snapshot());
}

void State::load(const std::filesystem::path& path) { restore(read_state_file(path, *pool_)); }

}  // namespace bitaxon
