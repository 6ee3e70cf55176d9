#include "cases/op_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "cases/stored_floats.h"
#include "core/assert.h"
#include "core/mix64.h"
#include "ops/op.h"

namespace bitaxon::test {

Random::Random(std::string_view seed) : state_(0xcbf29ce484222325U) {
  for (char c : seed)  // the FNV-1a hash of the seed
    state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
}

std::uint64_t Random::next() { return mix64_output(state_ += kMix64Step); }

std::int64_t Random::below(std::int64_t n) {
  return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(n));
}

double Random::uniform(double low, double high) {
  return low + (high - low) * (static_cast<double>(next() >> 11) * 0x1p-53);
}

OpProblem::OpProblem(std::string_view seed) : random_(seed) { layout_.n_slots = kSlots; }

void OpProblem::set_step(std::span<const CaseSegment> segments, std::int64_t capacity) {
  step.n_segments = static_cast<std::uint32_t>(segments.size());
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const CaseSegment& from = segments[i];
    step.segments[i] = {.slot = from.slot,
                        .first_row = step.n_rows,
                        .n_rows = from.n_rows,
                        .position = from.position,
                        .read_version = from.read_version,
                        .write_version = from.write_version,
                        .ids_from_state = from.ids_from_state ? 1U : 0U,
                        .keeps_state = from.keeps_state ? 1U : 0U,
                        .micro_batch = from.micro_batch,
                        .micro_row = from.micro_row,
                        .sampling = from.sampler};
    for (std::uint32_t o = 0; o < from.n_outputs; ++o)
      step.output_rows[step.n_outputs++] = step.n_rows + from.n_rows - from.n_outputs + o;
    if (from.samples) step.segments[i].sampled_output = step.n_outputs - 1;
    step.n_rows += from.n_rows;
  }
  // By default, a bucket has room for at least one more row, segment and output than the step uses.
  // The rows that are not valid hold NaN.
  row_capacity_ =
      capacity != 0 ? capacity : std::min<std::int64_t>(std::bit_ceil(step.n_rows + 1U), kMaxRows);
  segment_capacity_ = std::bit_ceil(step.n_segments + 1U);
  output_capacity_ = std::bit_ceil(step.n_outputs + 1U);
}

std::int64_t OpProblem::capacity(RowSpace row_space) const {
  return rows_in(
      row_space,
      {.n_rows = row_capacity_, .n_segments = segment_capacity_, .n_outputs = output_capacity_});
}

std::int64_t OpProblem::valid_rows(RowSpace row_space) const {
  return rows_in(row_space, sizes_of(step));
}

std::size_t OpProblem::add_input(std::int64_t cols, double spread, RowSpace row_space) {
  std::vector<float> valid(static_cast<std::size_t>(valid_rows(row_space) * cols));
  for (float& value : valid) value = random_.centred(spread);
  return add_input<float>(std::array{cols}, valid, row_space);
}

std::size_t OpProblem::add_state(DType dtype, const Shape& shape) {
  const std::size_t index = layout_.tensors.size();
  layout_.add(fmt::format("state_{}", index), dtype, shape, kVersions);
  state_.emplace_back(layout_.tensors[index].size_bytes, std::byte{0xFF});
  return index;
}

std::size_t OpProblem::add_shared(const Shape& shape, std::span<const float> values) {
  const std::size_t index = layout_.tensors.size();
  BX_ASSERT(shape.elements() == std::ssize(values), "a value for each element");
  layout_.add_shared(fmt::format("state_{}", index), DType::f32, shape);
  const auto bytes = std::as_bytes(values);
  state_.emplace_back(layout_.tensors[index].size_bytes, std::byte{0xFF});
  std::copy(bytes.begin(), bytes.end(), state_.back().begin());
  return index;
}

std::size_t OpProblem::add_store(const Shape& shape, std::int64_t n_rows) {
  const std::size_t index = layout_.tensors.size();
  layout_.add_shared(fmt::format("state_{}", index), DType::f32, shape);
  state_.emplace_back(layout_.tensors[index].size_bytes, std::byte{0xFF});
  store_rows_[index] = n_rows;
  return index;
}

std::span<float> OpProblem::shared_values(std::size_t state) {
  return {reinterpret_cast<float*>(state_[state].data()),
          static_cast<std::size_t>(layout_.tensors[state].shape.elements())};
}

std::span<float> OpProblem::store_row(std::size_t state, std::int64_t row) {
  const std::size_t cols = store_row_bytes(state) / sizeof(float);
  return shared_values(state).subspan(static_cast<std::size_t>(row) * cols, cols);
}

std::size_t OpProblem::store_row_bytes(std::size_t state) const {
  return static_cast<std::size_t>(layout_.tensors[state].shape.elements() / store_rows_.at(state)) *
         sizeof(float);
}

std::size_t OpProblem::add_carry(const Shape& shape, double spread) {
  const std::size_t index = layout_.tensors.size();
  layout_.add(fmt::format("carry_{}", index), DType::f32, shape, kCarryVersions);
  state_.emplace_back(layout_.tensors[index].size_bytes, std::byte{0xFF});
  carries_.insert(index);
  for (const SegmentWords& segment : segments()) {
    if (segment.keeps_state == 0) continue;
    const std::vector<std::byte> values = stored_floats(
        DType::f32, shape.elements(), [&](std::int64_t) { return random_.centred(spread); });
    std::copy(values.begin(), values.end(),
              state_bytes(index, segment.slot, segment.write_version % kCarryVersions));
  }
  return index;
}

/// Gives each segment pages of its own. Their numbers are in random order, and two pages stay
/// unused.
void OpProblem::make_tables(std::int64_t n_before) {
  std::vector<std::vector<std::uint32_t>> tables;
  std::vector<std::int64_t> first;
  std::uint32_t n_pages = 2;
  for (const SegmentWords& segment : segments()) {
    const std::int64_t position = segment.position;
    first.push_back(std::max<std::int64_t>(0, position - n_before) / kPageRows);
    const std::int64_t end = (position + segment.n_rows + kPageRows - 1) / kPageRows;
    tables.emplace_back(static_cast<std::size_t>(end - first.back()));
    n_pages += static_cast<std::uint32_t>(tables.back().size());
  }
  std::vector<std::uint32_t> pages(n_pages);
  for (std::uint32_t i = 0; i < n_pages; ++i) pages[i] = i;
  for (std::uint32_t i = n_pages; i-- > 1;)
    std::swap(pages[i], pages[static_cast<std::size_t>(random_.below(i + 1))]);
  for (std::size_t g = 0; g < tables.size(); ++g) {
    for (std::uint32_t& page : tables[g]) {
      page = pages.back();
      pages.pop_back();
    }
    TableWriter(step, step.segments[g], 1).set(0, first[g], tables[g]);
  }
  n_before_ = n_before;
  layout_.page_groups = {{.n_pages = static_cast<std::int32_t>(n_pages)}};
}

std::size_t OpProblem::add_pages(DType dtype, std::int64_t cols, std::int64_t n_before) {
  if (layout_.page_groups.empty()) make_tables(n_before);
  const std::size_t index = layout_.tensors.size();
  layout_.add_pages(fmt::format("state_{}", index), dtype, cols, 0);
  state_.emplace_back(layout_.tensors[index].size_bytes, std::byte{0xFF});
  return index;
}

const std::byte* OpProblem::row_at(std::size_t state, const SegmentWords& segment,
                                   std::int64_t position) const {
  const StateTensor& tensor = layout_.tensors[state];
  const std::size_t page =
      page_of(step, segment, 0, static_cast<std::uint32_t>(position / kPageRows));
  return state_[state].data() + page * tensor.page_bytes() +
         static_cast<std::size_t>(position % kPageRows) * (tensor.page_bytes() / kPageRows);
}

std::byte* OpProblem::row_at(std::size_t state, const SegmentWords& segment,
                             std::int64_t position) {
  return const_cast<std::byte*>(std::as_const(*this).row_at(state, segment, position));
}

const std::byte* OpProblem::state_bytes(std::size_t state, std::uint32_t slot,
                                        std::uint32_t version) const {
  const StateTensor& tensor = layout_.tensors[state];
  return state_[state].data() + tensor.slot_stride_bytes * slot +
         tensor.version_stride_bytes * version;
}

std::byte* OpProblem::state_bytes(std::size_t state, std::uint32_t slot, std::uint32_t version) {
  return const_cast<std::byte*>(std::as_const(*this).state_bytes(state, slot, version));
}

void OpProblem::fill_state(std::size_t state, double spread) {
  for (const SegmentWords& segment : segments()) {
    if (segment.position == 0) continue;
    const std::vector<std::byte> values =
        stored_floats(DType::f32, layout_.tensors[state].shape.elements(),
                      [&](std::int64_t) { return random_.centred(spread); });
    std::copy(values.begin(), values.end(), state_bytes(state, segment.slot, segment.read_version));
  }
}

void OpProblem::fill_pages(std::size_t state, const SegmentWords& segment, std::int64_t first,
                           std::int64_t last, double spread) {
  const StateTensor& tensor = layout_.tensors[state];
  for (std::int64_t position = first; position < last; ++position) {
    const std::vector<std::byte> row = stored_floats(
        tensor.dtype, tensor.shape[1], [&](std::int64_t) { return random_.centred(spread); });
    std::copy(row.begin(), row.end(), row_at(state, segment, position));
  }
}

const std::vector<OpCases>& every_op_case() {
  static const std::vector<OpCases> every = {
#define BX_OP(name) {#name, name##_cases()},
#include "ops/op_list.inc"
#undef BX_OP
  };
  return every;
}

OpProblem problem_of(std::string_view op, const OpCase& op_case) {
  OpProblem problem(fmt::format("{}/{}", op, op_case.label));
  op_case.build(problem);
  return problem;
}

std::vector<CaseSegment> one_segment(std::uint32_t n_rows, std::uint32_t position) {
  return {{.slot = 1, .n_rows = n_rows, .position = position}};
}

std::vector<CaseSegment> three_segments() {
  return {{.slot = 2, .n_rows = 3, .position = 7, .read_version = 2, .write_version = 0},
          {.slot = 0, .n_rows = 5, .position = 0, .read_version = 0, .write_version = 1},
          {.slot = 3, .n_rows = 1, .position = 40, .read_version = 1, .write_version = 1}};
}

std::vector<CaseSegment> ending_segments() {
  return {{.slot = 2, .n_rows = 4, .position = 7, .read_version = 1, .write_version = 2},
          {.slot = 1, .n_rows = 3, .position = 5, .read_version = 2, .keeps_state = false},
          {.slot = 1, .n_rows = 6, .position = 0, .read_version = 2, .keeps_state = false}};
}

std::vector<CaseSegment> mixed_segments() {
  return {{.slot = 2, .n_rows = 9, .position = 0, .n_outputs = 0, .samples = false},
          {.slot = 0, .n_rows = 3, .position = 5, .n_outputs = 3, .samples = false},
          {.slot = 3, .n_rows = 4, .position = 40, .read_version = 2, .n_outputs = 2},
          {.slot = 1, .n_rows = 1, .position = 7, .read_version = 1, .write_version = 2}};
}

std::vector<CaseSegment> long_segments() {
  return {{.slot = 2, .n_rows = 128, .position = 64, .read_version = 2, .write_version = 0},
          {.slot = 0, .n_rows = 65, .position = 0, .read_version = 0, .write_version = 1},
          {.slot = 1, .n_rows = 63, .position = 5, .read_version = 1, .write_version = 0},
          {.slot = 3, .n_rows = 256, .position = 40, .read_version = 1, .write_version = 1}};
}

}  // namespace bitaxon::test
