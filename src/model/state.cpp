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
State::Impl::Impl(std::shared_ptr<StatePool> from)
    : pool(std::move(from)), slot(pool->take_slot()), pages(*pool) {
  history.reserve(pool->n_versions());
}

std::uint32_t State::Impl::version(std::uint64_t of_step) const {
  return static_cast<std::uint32_t>(of_step % pool->n_versions());
}

void State::Impl::reset() {
  // Position 0 makes every kernel read the state as zeros.
  position = 0;
  kept_from = 0;
  sampled = false;
  history.clear();
  pages.clear();
}

int State::Impl::rewindable_steps() const {
  std::int64_t target = position;
  int n_steps = 0;
  for (auto it = history.rbegin(); it != history.rend() && target - it->n_rows >= kept_from; ++it) {
    target -= it->n_rows;
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
  pages.truncate(position);
}

void State::Impl::check_room(std::int64_t n_rows) const {
  const std::int64_t n_tokens = position + n_rows;
  if (n_tokens > pool->max_seq_len())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("a sequence of {} tokens: expected at most max_seq_len, which is {}",
                            n_tokens, pool->max_seq_len()));
  if (n_tokens > pool->context())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("a sequence of {} tokens: expected at most the context, which is {}",
                            n_tokens, pool->context()));
}

SequencePages::Rows State::Impl::rows_of_step(std::int64_t n_rows) const {
  const std::int64_t end = position + n_rows;
  // So many rows can be taken back, and no more, so that the pages of a sequence are bounded.
  const std::int64_t most_back = kMaxRows + pool->options().run_ahead;
  const std::int64_t kept = pool->n_versions() > 1 ? end - most_back : position;
  return {std::max(kept_from, kept), position, end};
}

void State::Impl::release_pages(std::int64_t n_rows) noexcept {
  const SequencePages::Rows rows = rows_of_step(n_rows);
  kept_from = rows.kept_from;
  pages.release(rows);
}

void State::Impl::describe_step(StepBuffer& next, SegmentWords& words) const {
  words.slot = static_cast<std::uint32_t>(slot);
  words.position = static_cast<std::uint32_t>(position);
  words.read_version = version(step);
  words.write_version = version(step + 1);
  pages.write_tables(next, words);
}

void State::Impl::commit_step(std::int64_t n_rows, bool samples) noexcept {
  if (pool->n_versions() > 1) {
    // This step has overwritten the version that the oldest step in the history needs.
    if (history.size() + 1 == pool->n_versions()) history.erase(history.begin());
    history.push_back({n_rows, sampled});
  }
  sampled = samples;
  position += n_rows;
  ++step;
}

namespace {

/// Calls transfer(byte in the buffer, byte in the snapshot, number of bytes) for each contiguous
/// run of the rows of a tensor that a snapshot at `position` holds. In a snapshot, the oldest row
/// comes first.
template <class Transfer>
void for_each_run(const StatePool& pool, const SequencePages& pages, const StateTensor& tensor,
                  std::int64_t position, const Transfer& transfer) {
  const auto group = static_cast<std::size_t>(tensor.page_group);
  const std::size_t row_bytes = tensor.page_bytes() / kPageRows;
  const std::int64_t first = position - rows_kept(pool.layout(), tensor, position);
  std::int64_t row = first;
  while (row < position) {
    const std::uint32_t page = pages.page_of(group, row);
    std::int64_t end = row / kPageRows * kPageRows + kPageRows;
    // Adjacent pages of the sequence are often adjacent in the buffer, too.
    while (end < position &&
           pages.page_of(group, end) ==
               page + static_cast<std::uint32_t>(end / kPageRows - row / kPageRows))
      end += kPageRows;
    end = std::min(end, position);
    const auto at = static_cast<std::size_t>(row % kPageRows);
    transfer(page * tensor.page_bytes() + at * row_bytes,
             static_cast<std::size_t>(row - first) * row_bytes,
             static_cast<std::size_t>(end - row) * row_bytes);
    row = end;
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
    if (!is_in_snapshot(tensor.kind)) continue;
    if (tensor.kind == StateKind::paged) {
      bytes.resize(snapshot_bytes(i, position));
      for_each_run(*pool, pages, tensor, position,
                   [&](std::size_t offset, std::size_t at, std::size_t size) {
                     pool->backend().download(pool->buffer(i), offset,
                                              std::span(bytes).subspan(at, size));
                   });
      continue;
    }
    const std::size_t slot_at = tensor.slot_stride_bytes * static_cast<std::size_t>(slot);
    bytes.resize(static_cast<std::size_t>(tensor.shape.elements()) * size_of(tensor.dtype));
    if (position == 0) continue;  // the state at position 0 is zeros, whatever the memory holds
    pool->backend().download(pool->buffer(i), slot_at + tensor.version_stride_bytes * version(step),
                             bytes);
  }
  return taken;
}

std::size_t State::Impl::snapshot_bytes(std::size_t tensor, std::int64_t n_tokens) const {
  const StateTensor& entry = pool->layout().tensors[tensor];
  if (!is_in_snapshot(entry.kind)) return 0;
  if (entry.kind == StateKind::paged)
    return static_cast<std::size_t>(rows_kept(pool->layout(), entry, n_tokens)) *
           (entry.page_bytes() / kPageRows);
  return static_cast<std::size_t>(entry.shape.elements()) * size_of(entry.dtype);
}

void State::Impl::take_pages(std::int64_t n_tokens) {
  const StateLayout& layout = pool->layout();
  std::vector<std::int32_t> needed(layout.page_groups.size(), 0);
  // All rows of the snapshot are written, from the oldest row of the group that keeps most.
  for (std::size_t g = 0; g < needed.size(); ++g) {
    const auto& window = layout.page_groups[g].window;
    const std::int64_t first = window ? std::max<std::int64_t>(0, n_tokens - *window) : 0;
    needed[g] = static_cast<std::int32_t>(divide_up(n_tokens, kPageRows) - first / kPageRows);
  }
  pool->reserve_pages(needed);
  pages.take_kept(n_tokens);
}

void State::Impl::upload(std::size_t index, std::int64_t n_tokens,
                         std::span<const std::byte> bytes) {
  const StateTensor& tensor = pool->layout().tensors[index];
  if (tensor.kind != StateKind::paged) {
    const std::size_t slot_at = tensor.slot_stride_bytes * static_cast<std::size_t>(slot);
    pool->backend().upload(pool->buffer(index),
                           slot_at + tensor.version_stride_bytes * version(step), bytes);
    return;
  }
  for_each_run(*pool, pages, tensor, n_tokens,
               [&](std::size_t offset, std::size_t at, std::size_t size) {
                 pool->backend().upload(pool->buffer(index), offset, bytes.subspan(at, size));
               });
}

void State::Impl::restore(const StateSnapshot& snapshot) {
  const std::size_t n_tensors = pool->layout().tensors.size();
  bool fits = snapshot.tensors.size() == n_tensors && snapshot.position >= 0 &&
              snapshot.position <= pool->context();
  for (std::size_t i = 0; fits && i < n_tensors; ++i)
    fits = snapshot.tensors[i].size() == snapshot_bytes(i, snapshot.position);
  if (!fits)
    throw Error(ErrorKind::invalid_argument,
                "[state] snapshot: expected one of a state of the same layout");
  replace(snapshot.position,
          [&](std::size_t i) -> std::span<const std::byte> { return snapshot.tensors[i]; });
}

void State::Impl::replace(std::int64_t n_tokens, const TensorBytes& bytes_of) {
  reset();  // the state that remains if a copy fails
  take_pages(n_tokens);
  try {
    for (std::size_t i = 0; i < pool->layout().tensors.size(); ++i)
      upload(i, n_tokens, bytes_of(i));
  } catch (...) {
    pages.clear();
    throw;
  }
  position = n_tokens;
  kept_from = n_tokens;
}

void State::Impl::fork_from(const Impl& parent) {
  position = parent.position;
  kept_from = parent.position;
  sampled = parent.sampled;
  pages.share(parent.pages);
  if (position == 0) return;
  std::vector<BufferCopy> copies;
  const StateLayout& layout = pool->layout();
  for (std::size_t i = 0; i < layout.tensors.size(); ++i) {
    const StateTensor& tensor = layout.tensors[i];
    if (tensor.kind == StateKind::paged || tensor.kind == StateKind::shared) continue;
    const auto place = [&](const Impl& state) {
      return tensor.slot_stride_bytes * static_cast<std::size_t>(state.slot) +
             tensor.version_stride_bytes * state.version(state.step);
    };
    const std::size_t size = align_up(
        static_cast<std::size_t>(tensor.shape.elements()) * size_of(tensor.dtype), std::size_t{4});
    copies.push_back({pool->buffer(i), place(parent), pool->buffer(i), place(*this), size});
  }
  pool->backend().copy(copies);
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
  if (n_tokens < 0 || n_tokens > pool->context())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("a state after {} tokens: expected at most {}, which is {}", n_tokens,
                            pool->context() == pool->max_seq_len() ? "max_seq_len" : "the context",
                            pool->context()));
  std::vector<std::byte> bytes;
  replace(n_tokens, [&](std::size_t i) -> std::span<const std::byte> {
    const StateTensor& tensor = pool->layout().tensors[i];
    // The tensor `seen` keeps its zeros, which say that no token was seen.
    bytes.assign(snapshot_bytes(i, n_tokens), std::byte{0});
    if (tensor.dtype == DType::f16 || tensor.dtype == DType::f32)
      fill_random(tensor.dtype, tensor.kind == StateKind::paged ? 1.0 : kRecurrentDeviation,
                  mix64(seed + mix64(i)), bytes);
    return bytes;
  });
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
State State::fork() const {
  auto made = std::make_unique<Impl>(impl_->pool);
  made->fork_from(*impl_);
  return State(std::move(made));
}
bool State::has_sampled_token() const { return impl_->sampled; }
void State::check_room(std::int64_t n_rows) const { impl_->check_room(n_rows); }

void State::save(const std::filesystem::path& path) const {
  write_state_file(path, *impl_->pool, snapshot());
}

void State::load(const std::filesystem::path& path) {
  restore(read_state_file(path, *impl_->pool));
}

std::vector<std::byte> State::to_bytes() const {
  return state_file_bytes(*impl_->pool, snapshot());
}

void State::from_bytes(std::span<const std::byte> bytes) {
  restore(read_state_bytes(bytes, *impl_->pool));
}

}  // namespace bitaxon
