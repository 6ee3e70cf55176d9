#include "model/weight_pieces.h"

#include <fmt/format.h>

#include <cmath>

#include "bitaxon/error.h"
#include "formats/float_bytes.h"
#include "platform/printable.h"

namespace bitaxon {

void encode_floats(const WeightDesc& desc, std::int64_t first, std::span<const float> values,
                   std::vector<std::byte>& bytes) {
  bytes.resize(values.size() * size_of(desc.dtype));
  for (std::size_t i = 0; i < values.size(); ++i) {
    store_float(desc.dtype, values[i], bytes.data(), static_cast<std::int64_t>(i));
    if (!std::isfinite(rounded_to(desc.dtype, values[i])))
      throw Error(ErrorKind::format,
                  fmt::format("tensor \"{}\": expected numbers that {} holds, got {} at element {}",
                              printable(desc.name), name_of(desc.dtype), values[i],
                              first + static_cast<std::int64_t>(i)));
  }
}

void refuse_too_little_memory(MemoryNeed need) {
  if (need.fits()) return;
  const MemoryRow& row = need.rows.front();
  const std::string problem =
      fmt::format("not enough memory: the largest weight needs {} of {}, {} are available",
                  bytes_text(row.needed_bytes()), row.kind, bytes_text(*row.available_bytes));
  throw OutOfMemory(problem, std::move(need));
}

void refuse_a_full_disk(const std::filesystem::path& folder, std::uint64_t needed_bytes) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  if (error || space.available >= needed_bytes) return;
  throw Error(ErrorKind::io,
              fmt::format("{}: expected room for {} bytes, got {} on this disk",
                          printable_path(folder.string()), needed_bytes, space.available));
}

}  // namespace bitaxon
