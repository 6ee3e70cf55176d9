#include "cases/op_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "core/assert.h"
#include "core/half.h"
#include "core/mix64.h"
#include "formats/nf4_codebook.h"
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

std::string_view name_of(Format format) {
  constexpr std::string_view kNames[] = {"f32",     "f16",     "bf16",        "q4_g32",  "q4_g64",
                                         "q4_g128", "nf4_g64", "nf4_nested",  "nf4_g8",  "nf4_g24",
                                         "q8_g32",  "q8_g64",  "q8_g128",     "q8_rows", "fp4_g64",
                                         "mxfp4",   "nvfp4",   "nvfp4_nested"};
  return kNames[static_cast<std::size_t>(format)];
}

std::int64_t column_unit(Format format) {
  switch (format) {
    case Format::q4_g128:
    case Format::q8_g128:
      return 128;
    case Format::q4_g64:
    case Format::q8_g64:
      return 64;
    case Format::q4_g32:
    case Format::q8_g32:
    case Format::mxfp4:
      return 32;
    case Format::nvfp4:
    case Format::nvfp4_nested:
      return 16;
    default:
      return 1;
  }
}

WeightParts CaseWeight::parts() const {
  return {data, scales, biases, quant_map, nested_scales, nested_quant_map};
}

namespace {

using Bytes = std::vector<std::byte>;

DType dtype_of(Format format) {
  return format == Format::f16 ? DType::f16 : format == Format::bf16 ? DType::bf16 : DType::f32;
}

/// Stores the n numbers value(0) to value(n - 1) as `dtype`.
template <class Value>
Bytes stored(DType dtype, std::int64_t n, const Value& value) {
  Bytes bytes(static_cast<std::size_t>(n) * size_of(dtype));
  for (std::int64_t i = 0; i < n; ++i) {
    const float v = value(i);
    std::byte* to = bytes.data() + static_cast<std::size_t>(i) * size_of(dtype);
    if (dtype == DType::f32) {
      std::memcpy(to, &v, sizeof(v));
    } else {
      const std::uint16_t half = dtype == DType::f16 ? f32_to_f16(v) : f32_to_bf16(v);
      std::memcpy(to, &half, sizeof(half));
    }
  }
  return bytes;
}

Bytes random_bytes(Random& random, std::int64_t n) {
  Bytes bytes(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    const std::uint64_t word = random.next();
    std::memcpy(bytes.data() + i, &word, std::min<std::size_t>(8, bytes.size() - i));
  }
  return bytes;
}

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

void make_affine(CaseWeight& weight, Random& random, double spread) {
  WeightDesc& desc = weight.desc;
  desc.format = WeightFormat::affine;
  // Real files have positive and negative scales. In a real file the scales and the biases may both
  // have 16 bits.
  desc.dtype = desc.bias_dtype = desc.group_size == 64 ? DType::f16 : DType::f32;
  const std::int64_t n = desc.elements();
  BX_ASSERT(desc.cols % desc.group_size == 0, "affine groups end with the row");
  const double unit = desc.bits == 8 ? 1.0 / 16 : 1;  // the codes of 8 bits are 16 times as large
  weight.data = random_bytes(random, n * desc.bits / 8);
  std::vector<float> scales(static_cast<std::size_t>(n / desc.group_size));
  for (float& scale : scales)
    scale = static_cast<float>((random.below(2) == 0 ? 1 : -1) * random.uniform(0.5, 1.5) * spread *
                               unit / 4.6);
  const auto scale = [&](std::int64_t i) { return scales[static_cast<std::size_t>(i)]; };
  weight.scales = stored(desc.dtype, n / desc.group_size, scale);
  weight.biases = stored(desc.bias_dtype, n / desc.group_size, [&](std::int64_t i) {
    return scale(i) * static_cast<float>(random.uniform(-8, -7) / unit);
  });
}

/// The form that load_weight() gives to int8 weights.
void make_rows_of_8_bits(CaseWeight& weight, Random& random, double spread) {
  WeightDesc& desc = weight.desc;
  desc.format = WeightFormat::affine;
  desc.bits = 8;
  desc.factor = kInt8Factor;
  desc.group_size = desc.cols;
  weight.data = random_bytes(random, desc.elements());
  std::vector<float> scales(static_cast<std::size_t>(desc.n_matrices * desc.rows));
  for (float& scale : scales) scale = static_cast<float>(random.uniform(1, 3) * spread);
  const auto scale = [&](std::int64_t i) { return scales[static_cast<std::size_t>(i)]; };
  weight.scales = stored(DType::f32, std::ssize(scales), scale);
  weight.biases =
      stored(DType::f32, std::ssize(scales), [&](std::int64_t i) { return -128.0F * scale(i); });
}

/// 4-bit floats with scales of 8 bits, which are about spread / 2.5.
void make_fp4_of_mlx(CaseWeight& weight, Random& random, double spread, Codebook codebook,
                     bool nested) {
  WeightDesc& desc = weight.desc;
  desc.format = WeightFormat::codebook;
  desc.codebook = codebook;
  desc.group_size = codebook == Codebook::mxfp4 ? 32 : 16;
  desc.nested = nested;
  BX_ASSERT(desc.cols % desc.group_size == 0, "groups end with the row");
  const std::int64_t n = desc.elements();
  weight.data = random_bytes(random, n / 2);
  weight.scales = random_bytes(random, n / desc.group_size);
  const int exponent = std::ilogb(spread / 2.5);
  for (std::byte& scale : weight.scales) {
    const auto random_part = std::to_integer<int>(scale);
    scale = static_cast<std::byte>(codebook == Codebook::mxfp4
                                       ? std::clamp(127 + exponent - random_part % 2, 0, 254)
                                       : std::clamp(7 + exponent - random_part % 2, 0, 14) * 8 +
                                             random_part / 32);
  }
  if (!nested) return;
  desc.nested_group_size = desc.rows * desc.cols / desc.group_size;
  weight.nested_scales = stored(DType::f32, desc.n_matrices, [&](std::int64_t) {
    return static_cast<float>(random.uniform(0.5, 2) * 2688);
  });
}

void make_nf4(CaseWeight& weight, Random& random, double spread) {
  WeightDesc& desc = weight.desc;
  desc.format = WeightFormat::codebook;
  const std::int64_t n = desc.elements();
  const std::int64_t n_blocks = divide_up(n, desc.group_size);
  weight.data = random_bytes(random, divide_up(n, 2));
  constexpr std::array<float, 8> kFp4 = {0, 1 / 192.F, 2 / 3.F, 1, 1 / 3.F, 0.5F, 1 / 6.F, 0.25F};
  weight.quant_map = stored(DType::f32, 16, [&](std::int64_t i) {
    const auto code = static_cast<std::size_t>(i);
    if (desc.codebook == Codebook::nf4) return kNf4Codebook[code];
    return code < 8 ? kFp4[code] : -kFp4[code - 8];
  });
  if (!desc.nested) {
    weight.scales = stored(DType::f32, n_blocks, [&](std::int64_t) {
      return static_cast<float>(random.uniform(1, 3) * spread);
    });
    return;
  }
  // The nested groups are small, so that even a small matrix has several nested scales.
  desc.nested_group_size = 4;
  desc.nested_offset = static_cast<float>(2 * spread);
  weight.scales = random_bytes(random, n_blocks);
  weight.nested_quant_map =
      stored(DType::f32, 256, [](std::int64_t i) { return static_cast<float>(i - 128) / 128.0F; });
  weight.nested_scales = stored(DType::f32, divide_up(n_blocks, 4), [&](std::int64_t) {
    return static_cast<float>(random.uniform(0.2, 1) * spread);
  });
}

}  // namespace

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

std::size_t OpProblem::add_weight(Format format, const Shape& shape, double spread, double centre) {
  CaseWeight weight;
  WeightDesc& desc = weight.desc;
  desc.name = fmt::format("weight_{}", weights_.size());
  desc.n_matrices = shape[0];
  desc.rows = shape[1];
  desc.cols = shape[2];
  switch (format) {
    case Format::f32:
    case Format::f16:
    case Format::bf16:
      desc.dtype = dtype_of(format);
      weight.data = stored(desc.dtype, desc.elements(), [&](std::int64_t) {
        return random_.centred(spread) + static_cast<float>(centre);
      });
      break;
    case Format::q4_g32:
    case Format::q4_g64:
    case Format::q4_g128:
      desc.group_size = format == Format::q4_g32 ? 32 : format == Format::q4_g64 ? 64 : 128;
      make_affine(weight, random_, spread);
      break;
    case Format::q8_g32:
    case Format::q8_g64:
    case Format::q8_g128:
      desc.group_size = format == Format::q8_g32 ? 32 : format == Format::q8_g64 ? 64 : 128;
      desc.bits = 8;
      make_affine(weight, random_, spread);
      break;
    case Format::q8_rows:
      make_rows_of_8_bits(weight, random_, spread);
      break;
    case Format::mxfp4:
      make_fp4_of_mlx(weight, random_, spread, Codebook::mxfp4, false);
      break;
    case Format::nvfp4:
    case Format::nvfp4_nested:
      make_fp4_of_mlx(weight, random_, spread, Codebook::nvfp4, format == Format::nvfp4_nested);
      break;
    case Format::nf4_g64:
    case Format::nf4_nested:
    case Format::nf4_g8:
    case Format::nf4_g24:
    case Format::fp4_g64:
      desc.codebook = format == Format::fp4_g64 ? Codebook::fp4 : Codebook::nf4;
      desc.group_size = format == Format::nf4_g8 ? 8 : format == Format::nf4_g24 ? 24 : 64;
      desc.nested = format == Format::nf4_nested;
      make_nf4(weight, random_, spread);
      break;
  }
  weights_.push_back(std::move(weight));
  return weights_.size() - 1;
}

std::size_t OpProblem::add_weight(const Shape& shape, std::span<const float> values) {
  CaseWeight weight;
  weight.desc.name = fmt::format("weight_{}", weights_.size());
  weight.desc.n_matrices = shape[0];
  weight.desc.rows = shape[1];
  weight.desc.cols = shape[2];
  const auto bytes = std::as_bytes(values);
  weight.data.assign(bytes.begin(), bytes.end());
  weights_.push_back(std::move(weight));
  return weights_.size() - 1;
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
    const Bytes values =
        stored(DType::f32, shape.elements(), [&](std::int64_t) { return random_.centred(spread); });
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
    const Bytes values = stored(DType::f32, layout_.tensors[state].shape.elements(),
                                [&](std::int64_t) { return random_.centred(spread); });
    std::copy(values.begin(), values.end(), state_bytes(state, segment.slot, segment.read_version));
  }
}

void OpProblem::fill_pages(std::size_t state, const SegmentWords& segment, std::int64_t first,
                           std::int64_t last, double spread) {
  const StateTensor& tensor = layout_.tensors[state];
  for (std::int64_t position = first; position < last; ++position) {
    const Bytes row = stored(tensor.dtype, tensor.shape[1],
                             [&](std::int64_t) { return random_.centred(spread); });
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
