#include "formats/load_weight.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "bitaxon/error.h"
#include "core/half.h"
#include "formats/float8.h"
#include "formats/float_bytes.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

/// The number of elements that are unpacked at a time. A multiple of 32.
constexpr std::int64_t kPieceElements = 1 << 20;

/// Reads a tensor of codes in pieces. `bits` is the size of a code. Calls use(first, n, bytes) for
/// the codes [first, first + n).
template <class Use>
void for_each_piece(const Checkpoint& checkpoint, const TensorInfo& codes, std::int64_t n_codes,
                    int bits, const Use& use) {
  std::vector<std::byte> bytes;
  checkpoint.read_ahead(codes);
  for (std::int64_t first = 0; first < n_codes; first += kPieceElements) {
    const std::int64_t n = std::min(kPieceElements, n_codes - first);
    bytes.resize(static_cast<std::size_t>(n * bits / 8));
    checkpoint.read_part(codes, static_cast<std::uint64_t>(first * bits / 8), bytes);
    use(first, n, bytes.data());
  }
}

/// Gives codes of `bits` bits `to_bits` bits each. `n` is a multiple of 8.
void widen_codes(const std::byte* from, int bits, std::int64_t n, std::byte* to, int to_bits) {
  const std::uint64_t mask = (1U << bits) - 1U;
  for (std::int64_t i = 0; i < n; i += 8, from += bits, to += to_bits) {
    std::uint64_t eight = 0;  // eight codes fill `bits` bytes
    std::memcpy(&eight, from, static_cast<std::size_t>(bits));
    std::uint64_t wide = 0;
    for (int j = 0; j < 8; ++j) wide |= (eight >> (j * bits) & mask) << (j * to_bits);
    std::memcpy(to, &wide, static_cast<std::size_t>(to_bits));
  }
}

void load_widened(const Checkpoint& checkpoint, const WeightSource& source,
                  const WritableParts& to) {
  const int bits = source.desc.bits;
  const int to_bits = loaded_form(source.desc).bits;
  for_each_piece(checkpoint, *source.data, source.desc.elements(), bits,
                 [&](std::int64_t first, std::int64_t n, const std::byte* codes) {
                   widen_codes(codes, bits, n, to.data.data() + first * to_bits / 8, to_bits);
                 });
  read_tensor(checkpoint, source.scales, to.scales);
  read_tensor(checkpoint, source.biases, to.biases);
}

/// With the code c + 128 and the bias -128 * scale, the sum is exactly c * scale.
void load_int8(const Checkpoint& checkpoint, const WeightSource& source, const WritableParts& to) {
  read_tensor(checkpoint, source.data, to.data);
  for (std::byte& code : to.data) code ^= std::byte{0x80};
  read_tensor(checkpoint, source.scales, to.scales);
  for (std::int64_t row = 0; row < source.desc.rows; ++row)
    store_element(-128.0F * load_element<float>(to.scales.data(), row), to.biases.data(), row);
}

void load_mxfp8(const Checkpoint& checkpoint, const WeightSource& source, const WritableParts& to) {
  const WeightDesc& desc = source.desc;
  std::vector<std::byte> scales(static_cast<std::size_t>(part_bytes(desc).scales));
  read_tensor(checkpoint, source.scales, scales);
  for_each_piece(checkpoint, *source.data, desc.elements(), 8,
                 [&](std::int64_t first, std::int64_t n, const std::byte* codes) {
                   for (std::int64_t i = 0; i < n; ++i) {
                     const auto scale = std::to_integer<std::uint8_t>(
                         scales[static_cast<std::size_t>((first + i) / desc.group_size)]);
                     const auto code = load_element<std::uint8_t>(codes, i);
                     store_element(f32_to_bf16(e4m3_to_f32(code) * e8m0_to_f32(scale)),
                                   to.data.data(), first + i);
                   }
                 });
}

/// Whether the scales of a matrix in a stack become F32.
bool loses_nesting(const WeightDesc& desc) {
  return desc.format == WeightFormat::codebook && desc.nested && has_stored_table(desc);
}

/// Does the same as read_parts(), but computes the scales.
void load_without_nesting(const Checkpoint& checkpoint, const WeightSource& source,
                          const WritableParts& to) {
  WeightSource scales_only = source;
  scales_only.data = nullptr;
  LoadedWeight nested;
  read_parts(checkpoint, scales_only, lay_out(source.desc, nested));
  read_tensor(checkpoint, source.data, to.data);
  std::ranges::copy(nested.parts.quant_map, to.quant_map.begin());
  const auto n_blocks = static_cast<std::int64_t>(to.scales.size() / sizeof(float));
  for (std::int64_t block = 0; block < n_blocks; ++block)
    store_element(block_scale(source.desc, nested.parts, block), to.scales.data(), block);
}

/// Reads a weight into parts that have the sizes of its loaded form.
void load_parts(const Checkpoint& checkpoint, const WeightSource& source, const WritableParts& to) {
  const WeightDesc& desc = source.desc;
  if (desc.format == WeightFormat::affine && desc.bits != 4 && desc.bits != 8)
    load_widened(checkpoint, source, to);
  else if (desc.format == WeightFormat::int8)
    load_int8(checkpoint, source, to);
  else if (desc.format == WeightFormat::mxfp8)
    load_mxfp8(checkpoint, source, to);
  else
    read_parts(checkpoint, source, to);
}

/// Refuses a matrix of a stack.
[[noreturn]] void fail(ErrorKind kind, const Checkpoint& checkpoint, const WeightSource& matrix,
                       std::string_view what) {
  throw Error(
      kind, fmt::format("{}: tensor \"{}\": {}", printable_path(checkpoint.file_name(*matrix.data)),
                        printable(matrix.desc.name), what));
}

/// Whether the matrices of a stack are floats of several types. All of them become F32.
bool has_mixed_floats(std::span<const WeightSource> matrices) {
  const DType first = matrices.front().desc.dtype;
  return std::ranges::all_of(matrices,
                             [](const WeightSource& matrix) {
                               return matrix.desc.format == WeightFormat::dense;
                             }) &&
         std::ranges::any_of(
             matrices, [&](const WeightSource& matrix) { return matrix.desc.dtype != first; });
}

/// Reads floats of any type as F32.
void load_as_f32(const Checkpoint& checkpoint, const WeightSource& source,
                 std::span<std::byte> to) {
  const auto read = dense_reader(checkpoint, source);
  std::vector<float> piece;
  for (std::int64_t first = 0; first < source.desc.elements(); first += kPieceElements) {
    piece.resize(
        static_cast<std::size_t>(std::min(kPieceElements, source.desc.elements() - first)));
    read(first, piece);
    const auto bytes = std::as_bytes(std::span(piece));
    std::ranges::copy(bytes, to.begin() + first * std::ptrdiff_t{sizeof(float)});
  }
}

std::string form_text(const WeightDesc& desc) {
  return fmt::format("{} [{}, {}]", desc.format_name(), desc.rows, desc.cols);
}

bool is_same_form(const WeightDesc& a, const WeightDesc& b) {
  return a.format == b.format && a.rows == b.rows && a.cols == b.cols && a.dtype == b.dtype &&
         a.bias_dtype == b.bias_dtype && a.group_size == b.group_size && a.nested == b.nested &&
         a.bits == b.bits && a.factor == b.factor && a.codebook == b.codebook;
}

/// The bytes of matrix `index` in the parts of a stack. The stack has one table for all matrices.
WritableParts matrix_parts(const WritableParts& stack, std::size_t n_matrices, std::size_t index) {
  const auto share = [&](std::span<std::byte> part) {
    const std::size_t size = part.size() / n_matrices;
    return part.subspan(index * size, size);
  };
  return {.data = share(stack.data),
          .scales = share(stack.scales),
          .biases = share(stack.biases),
          .quant_map = stack.quant_map,
          .nested_scales = share(stack.nested_scales),
          .nested_quant_map = stack.nested_quant_map};
}

}  // namespace

WeightDesc loaded_form(const WeightDesc& stored) {
  WeightDesc desc = stored;
  if (stored.format == WeightFormat::affine) desc.bits = stored.bits <= 4 ? 4 : 8;
  if (stored.format == WeightFormat::int8) {
    desc.format = WeightFormat::affine;
    desc.bits = 8;
    desc.dtype = desc.bias_dtype = DType::f32;
    desc.factor = kInt8Factor;
  }
  if (stored.format == WeightFormat::mxfp8) {
    desc.format = WeightFormat::dense;
    desc.dtype = DType::bf16;
    desc.group_size = 0;
  }
  return desc;
}

WeightDesc load_weight(const Checkpoint& checkpoint, const WeightSource& source,
                       LoadedWeight& into) {
  if (!source.matrices.empty())
    return load_stack(checkpoint, source.desc.name, source.matrices, into);
  WeightDesc desc = loaded_form(source.desc);
  load_parts(checkpoint, source, lay_out(desc, into));
  return desc;
}

WeightDesc stacked_form(const Checkpoint& checkpoint, std::string_view name,
                        std::span<const WeightSource> matrices) {
  const bool is_mixed = has_mixed_floats(matrices);
  const auto form_of = [&](const WeightSource& matrix) {
    WeightDesc desc = loaded_form(matrix.desc);
    if (is_mixed) desc.dtype = DType::f32;
    return desc;
  };
  WeightDesc stack = form_of(matrices.front());
  for (const WeightSource& matrix : matrices)
    if (const WeightDesc desc = form_of(matrix); !is_same_form(desc, stack))
      fail(ErrorKind::format, checkpoint, matrix,
           fmt::format("expected {}, the form of \"{}\", got {}", form_text(stack),
                       printable(stack.name), form_text(desc)));
  const std::int64_t elements = stack.rows * stack.cols;
  if (stack.format == WeightFormat::codebook &&
      (elements % 2 != 0 || elements % stack.group_size != 0))
    fail(ErrorKind::unsupported, checkpoint, matrices.front(),
         fmt::format("expected an expert that fills whole blocks of {} elements, got [{}, {}]",
                     stack.group_size, stack.rows, stack.cols));
  stack.nested = stack.nested && !loses_nesting(stack);
  stack.name = name;
  stack.n_matrices = std::ssize(matrices);
  return stack;
}

std::optional<WeightSource> find_stack(const Checkpoint& checkpoint, std::string_view pattern,
                                       const Shape& shape) {
  const Shape matrix{shape[1], shape[2]};
  const std::size_t star = pattern.find('*');
  const auto find = [&](std::int64_t index) {
    const std::string name =
        fmt::format("{}{}{}", pattern.substr(0, star), index, pattern.substr(star + 1));
    return find_weight(checkpoint, name, matrix, true);
  };
  WeightSource stack;
  for (std::int64_t i = 0; i < shape[0]; ++i) {
    std::optional<WeightSource> found = find(i);
    if (!found && i == 0) return std::nullopt;
    if (!found)
      throw Error(ErrorKind::format,
                  fmt::format("{}: tensor \"{}\": expected one for each of {} experts, got none "
                              "for {}",
                              printable_path(checkpoint.file_name(*stack.matrices.back().data)),
                              printable(pattern), shape[0], i));
    stack.matrices.push_back(std::move(*found));
  }
  stack.desc = stacked_form(checkpoint, pattern, stack.matrices);
  return stack;
}

WeightDesc load_stack(const Checkpoint& checkpoint, std::string_view name,
                      std::span<const WeightSource> matrices, LoadedWeight& into) {
  WeightDesc stack = stacked_form(checkpoint, name, matrices);
  const WritableParts parts = lay_out(stack, into);
  std::vector<std::byte> table;
  for (std::size_t i = 0; i < matrices.size(); ++i) {
    const WritableParts to = matrix_parts(parts, matrices.size(), i);
    if (matrices[i].desc.format == WeightFormat::dense && matrices[i].desc.dtype != stack.dtype)
      load_as_f32(checkpoint, matrices[i], to.data);
    else if (loses_nesting(matrices[i].desc))
      load_without_nesting(checkpoint, matrices[i], to);
    else
      load_parts(checkpoint, matrices[i], to);
    if (i == 0) table.assign(to.quant_map.begin(), to.quant_map.end());
    if (!std::ranges::equal(table, to.quant_map))
      fail(ErrorKind::format, checkpoint, matrices[i],
           fmt::format("expected the quant_map of \"{}\", got another",
                       printable(matrices.front().desc.name)));
  }
  return stack;
}

}  // namespace bitaxon
