#include "formats/weight_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "bitaxon/error.h"
#include "core/align.h"
#include "core/assert.h"
#include "formats/foreign_format.h"
#include "formats/weight_search.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

constexpr std::size_t kPartAlignment = 64;

/// The DType of a tensor. The tensor must hold floats (is_float).
DType float_type(const TensorInfo& tensor) { return tensor.dtype.dtype().value_or(DType::f32); }

WeightDesc describe_logical(std::string_view name, const Shape& shape) {
  if (shape.rank() < 1 || shape.rank() > 3)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[find_weight] shape of \"{}\": expected rank 1 to 3, got {}",
                            printable(name), shape.to_string()));
  WeightDesc desc;
  desc.name = name;
  desc.cols = shape[shape.rank() - 1];
  if (shape.rank() >= 2) desc.rows = shape[shape.rank() - 2];
  if (shape.rank() == 3) desc.n_matrices = shape[0];
  return desc;
}

WeightSource find_dense(const WeightSearch& search, WeightDesc desc) {
  if (search.data.shape != search.shape)
    search.fail_expected(search.data, search.shape.to_string());
  desc.dtype = float_type(search.data);
  return {.desc = std::move(desc), .data = &search.data};
}

}  // namespace

void WeightSearch::fail(const TensorInfo& at, std::string_view what) const {
  throw Error(ErrorKind::format,
              fmt::format("{}: tensor \"{}\": {}", printable_path(checkpoint.file_name(at)),
                          printable(at.name), what));
}

void WeightSearch::fail_expected(const TensorInfo& at, std::string_view expected) const {
  fail(at, fmt::format("expected {}, got {}", expected, describe(at)));
}

const TensorInfo& WeightSearch::part(const std::string& name, std::string_view what) const {
  const TensorInfo* found = checkpoint.find(name);
  if (found == nullptr) checkpoint.refuse_absent(name);
  if (found == nullptr)
    fail(data, fmt::format("{} ({}) needs a tensor \"{}\", which is missing", describe(data), what,
                           printable(name)));
  return *found;
}

const TensorInfo& WeightSearch::part(const std::string& name, std::string_view what, DType dtype,
                                     std::int64_t size) const {
  const TensorInfo& found = part(name, what);
  if (found.dtype != dtype || found.shape != Shape{size})
    fail_expected(found, fmt::format("{} [{}]", name_of(dtype), size));
  return found;
}

std::string WeightSearch::stem() const {
  return data.name.substr(0, data.name.size() - kWeightEnd.size());
}

std::vector<const TensorInfo*> tensors_of(const WeightSource& source) {
  std::vector<const TensorInfo*> tensors = {
      source.data,          source.scales,           source.biases,      source.quant_map,
      source.nested_scales, source.nested_quant_map, source.quant_state, source.ignored};
  std::erase(tensors, nullptr);
  for (const WeightSource& matrix : source.matrices) {
    const std::vector<const TensorInfo*> more = tensors_of(matrix);
    tensors.insert(tensors.end(), more.begin(), more.end());
  }
  return tensors;
}

std::optional<WeightSource> find_weight(const Checkpoint& checkpoint, std::string_view name,
                                        const Shape& shape, bool allow_quantized) {
  WeightDesc desc = describe_logical(name, shape);
  const TensorInfo* data = checkpoint.find(name);
  if (const auto foreign = foreign_format(checkpoint, name, shape))
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: tensor \"{}\": {} ({}) is not read; {}",
                            printable_path(checkpoint.file_name(*foreign->tensor)),
                            printable(foreign->tensor->name), foreign->name,
                            describe(*foreign->tensor), kFormatsThatRun));
  if (data == nullptr) {
    checkpoint.refuse_absent(name);
    return std::nullopt;
  }
  const WeightSearch search{checkpoint, *data, shape};
  if (is_float(data->dtype)) return find_dense(search, std::move(desc));
  const bool may_be_quantized = allow_quantized && shape.rank() >= 2 && name.ends_with(kWeightEnd);
  if (may_be_quantized && data->dtype == DType::u32) return find_mlx(search, std::move(desc));
  if (may_be_quantized && data->dtype == DType::u8)
    return find_bitsandbytes_4bit(search, std::move(desc));
  if (may_be_quantized && data->dtype.name() == "I8")
    return find_bitsandbytes_int8(search, std::move(desc));
  search.fail_expected(*data, fmt::format("F32, F16 or BF16 {}{}", shape.to_string(),
                                          may_be_quantized ? ", or codes (U32, U8, I8)"
                                                           : " (codes are not read here)"));
}

WritableParts lay_out(const WeightDesc& desc, LoadedWeight& into) {
  const PartBytes bytes = part_bytes(desc);
  struct Part {
    std::uint64_t size;
    std::span<std::byte> WritableParts::*writable;
    std::span<const std::byte> WeightParts::*readable;
  };
  const std::array<Part, 6> parts = {
      {{bytes.data, &WritableParts::data, &WeightParts::data},
       {bytes.scales, &WritableParts::scales, &WeightParts::scales},
       {bytes.biases, &WritableParts::biases, &WeightParts::biases},
       {bytes.quant_map, &WritableParts::quant_map, &WeightParts::quant_map},
       {bytes.nested_scales, &WritableParts::nested_scales, &WeightParts::nested_scales},
       {bytes.nested_quant_map, &WritableParts::nested_quant_map, &WeightParts::nested_quant_map}}};
  // Extra bytes for alignment, because a vector of bytes may begin at any address.
  std::size_t size = kPartAlignment;
  for (const Part& part : parts) size += align_up(part.size, kPartAlignment);
  // The storage never shrinks, because growing it again would fill the difference with zeros. It is
  // never copied, because the old and the new bytes would be in memory at the same time.
  if (into.storage.size() < size) {
    into.storage = {};
    into.storage.resize(size);
  }
  void* begin = into.storage.data();
  std::size_t space = into.storage.size();
  auto* next =
      static_cast<std::byte*>(std::align(kPartAlignment, size - kPartAlignment, begin, space));
  WritableParts writable;
  for (const Part& part : parts) {
    writable.*part.writable = std::span(next, static_cast<std::size_t>(part.size));
    into.parts.*part.readable = writable.*part.writable;
    next += align_up(part.size, kPartAlignment);
  }
  return writable;
}

void read_tensor(const Checkpoint& checkpoint, const TensorInfo* tensor, std::span<std::byte> to) {
  if (tensor == nullptr) return;
  checkpoint.read_ahead(*tensor);
  checkpoint.read(*tensor, to);
}

void read_parts(const Checkpoint& checkpoint, const WeightSource& source, const WritableParts& to) {
  read_tensor(checkpoint, source.data, to.data);
  read_tensor(checkpoint, source.scales, to.scales);
  read_tensor(checkpoint, source.biases, to.biases);
  read_tensor(checkpoint, source.quant_map, to.quant_map);
  read_tensor(checkpoint, source.nested_scales, to.nested_scales);
  read_tensor(checkpoint, source.nested_quant_map, to.nested_quant_map);
}

void read_weight(const Checkpoint& checkpoint, const WeightSource& source, LoadedWeight& into) {
  BX_ASSERT(source.matrices.empty(), "load_weight reads separate matrices");
  read_parts(checkpoint, source, lay_out(source.desc, into));
}

namespace {

/// Reads elements [first, first + out.size()) of a dense weight that is one tensor.
void read_elements(const Checkpoint& checkpoint, const WeightSource& source, std::int64_t first,
                   std::span<float> out, std::vector<std::byte>& bytes) {
  const std::size_t size = size_of(source.desc.dtype);
  bytes.resize(out.size() * size);
  checkpoint.read_part(*source.data, static_cast<std::uint64_t>(first) * size, bytes);
  WeightDesc piece = source.desc;
  piece.n_matrices = piece.rows = 1;
  piece.cols = std::ssize(out);
  decode(piece, {.data = bytes}, 0, out);
}

}  // namespace

std::function<void(std::int64_t first, std::span<float> out)> dense_reader(
    const Checkpoint& checkpoint, const WeightSource& source) {
  BX_ASSERT(source.desc.format == WeightFormat::dense, "dense_reader needs a dense weight");
  return [&checkpoint, &source, bytes = std::vector<std::byte>()](std::int64_t first,
                                                                  std::span<float> out) mutable {
    if (source.matrices.empty()) {
      read_elements(checkpoint, source, first, out, bytes);
      return;
    }
    const std::int64_t size = source.desc.rows * source.desc.cols;
    while (!out.empty()) {
      const auto n = std::min(out.size(), static_cast<std::size_t>(size - first % size));
      read_elements(checkpoint, source.matrices[static_cast<std::size_t>(first / size)],
                    first % size, out.first(n), bytes);
      first += static_cast<std::int64_t>(n);
      out = out.subspan(n);
    }
  };
}

}  // namespace bitaxon
