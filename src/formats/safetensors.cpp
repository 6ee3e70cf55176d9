#include "formats/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "bitaxon/error.h"
#include "core/align.h"
#include "core/assert.h"
#include "formats/json.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

constexpr std::string_view kMetadataKey = "__metadata__";

[[noreturn]] void fail(std::string_view name, std::string_view what) {
  throw Error(ErrorKind::format, fmt::format("{}: {}", printable_path(name), what));
}

[[noreturn]] void fail_tensor(std::string_view name, std::string_view tensor,
                              std::string_view what) {
  fail(name, fmt::format("tensor \"{}\": {}", printable(tensor), what));
}

/// A value of the header as text, short enough for a message.
std::string excerpt(const Json& value) { return printable(value.dump(), 60); }

/// The value as an integer from 0 to 2^63 - 1. Empty for any other value.
std::optional<std::int64_t> as_count(const Json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const std::uint64_t count = value.get<std::uint64_t>();
  if (count > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return std::nullopt;
  return static_cast<std::int64_t>(count);
}

std::map<std::string, std::string> parse_metadata(const Json& json, std::string_view name) {
  std::map<std::string, std::string> metadata;
  if (json.is_null()) return metadata;
  if (!json.is_object())
    fail(name, fmt::format("__metadata__: expected an object or null, got {}", excerpt(json)));
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string())
      fail(name, fmt::format("__metadata__: expected a string for \"{}\", got {}", printable(key),
                             excerpt(value)));
    metadata.emplace(key, value.get<std::string>());
  }
  return metadata;
}

StoredType parse_dtype(const Json& json, std::string_view tensor, std::string_view name) {
  const auto type = json.is_string() ? StoredType::named(json.get_ref<const std::string&>())
                                     : std::optional<StoredType>{};
  if (!type)
    fail_tensor(
        name, tensor,
        fmt::format("expected a dtype of the format (F32, BF16, U8, ...), got {}", excerpt(json)));
  return *type;
}

StoredShape parse_shape(const Json& json, std::string_view tensor, std::string_view name) {
  if (!json.is_array())
    fail_tensor(name, tensor, fmt::format("expected a shape, got {}", excerpt(json)));
  std::vector<std::int64_t> dims;
  for (const Json& extent : json) {
    const auto count = as_count(extent);
    if (!count)
      fail_tensor(name, tensor,
                  fmt::format("expected shape extents from 0 to 2^63 - 1, got {}", excerpt(json)));
    dims.push_back(*count);
  }
  try {
    return StoredShape(std::move(dims));
  } catch (const Error&) {  // the product is too large; other errors were excluded above
    fail_tensor(name, tensor,
                fmt::format("expected a shape of at most 2^62 elements, got {}", excerpt(json)));
  }
}

struct Offsets {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

Offsets parse_offsets(const Json& json, std::string_view tensor, std::string_view name) {
  if (json.is_array() && json.size() == 2) {
    const auto begin = as_count(json[0]);
    const auto end = as_count(json[1]);
    if (begin && end && *begin <= *end)
      return {static_cast<std::uint64_t>(*begin), static_cast<std::uint64_t>(*end)};
  }
  fail_tensor(name, tensor,
              fmt::format("expected data_offsets [begin, end] with 0 <= begin <= "
                          "end < 2^63, got {}",
                          excerpt(json)));
}

/// Parses the header entry of a tensor. In the result, offset_bytes counts from the start of the
/// data. The caller adds the start of the data.
TensorInfo parse_tensor(const std::string& tensor, const Json& json, std::string_view name) {
  constexpr std::array<std::string_view, 3> kKeys = {"dtype", "shape", "data_offsets"};
  if (!json.is_object())
    fail_tensor(name, tensor, fmt::format("expected an object, got {}", excerpt(json)));
  for (const std::string_view key : kKeys)
    if (!json.contains(key)) fail_tensor(name, tensor, fmt::format("no key \"{}\"", key));
  for (const auto& [key, value] : json.items())
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end())
      fail_tensor(name, tensor, fmt::format("unknown key \"{}\"", printable(key)));

  TensorInfo info;
  info.name = tensor;
  info.dtype = parse_dtype(json["dtype"], tensor, name);
  info.shape = parse_shape(json["shape"], tensor, name);
  const Offsets offsets = parse_offsets(json["data_offsets"], tensor, name);
  info.offset_bytes = offsets.begin;
  info.size_bytes = offsets.end - offsets.begin;
  if (bytes_of(info.dtype, info.shape) != info.size_bytes) {
    const std::uint64_t bits = info.dtype.bits();
    const bool whole = bits % 8 == 0;
    fail_tensor(name, tensor,
                fmt::format("expected {} * {} {} of data for {}, got {}{}", info.shape.elements(),
                            whole ? bits / 8 : bits, whole ? "bytes" : "bits", describe(info),
                            info.size_bytes, whole ? "" : " bytes"));
  }
  return info;
}

/// Sorts the tensors by the position of their data, and refuses gaps and overlaps. Returns the size
/// of the data.
std::uint64_t refuse_untiled(std::vector<TensorInfo>& tensors, std::string_view name) {
  std::stable_sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::pair(a.offset_bytes, a.size_bytes) < std::pair(b.offset_bytes, b.size_bytes);
  });
  std::uint64_t end = 0;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.offset_bytes != end)
      fail_tensor(name, tensor.name,
                  fmt::format("expected its data at byte {} of the data, where the previous tensor "
                              "ends, got {} ({})",
                              end, tensor.offset_bytes,
                              tensor.offset_bytes < end ? "they overlap" : "there is a gap"));
    end = tensor.offset_bytes + tensor.size_bytes;
  }
  return end;
}

std::string header_json(const std::vector<SafetensorsSpec>& tensors,
                        const std::map<std::string, std::string>& metadata,
                        std::vector<std::uint64_t>& offsets, std::uint64_t& data_bytes) {
  Json header = Json::object();
  // Adds the entries to the vector behind the ordered map, as parse_json() does, because the map
  // would search for the key first.
  Json::object_t::Container& entries = header.get_ref<Json::object_t&>();
  if (!metadata.empty()) entries.emplace_back(kMetadataKey, metadata);
  std::set<std::string_view> names;
  std::uint64_t end = 0;
  for (const auto& tensor : tensors) {
    if (tensor.name == kMetadataKey || !names.insert(tensor.name).second)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("[safetensors] name: expected a unique tensor name, got \"{}\"{}",
                              printable(tensor.name), tensor.name == kMetadataKey ? "" : " twice"));
    const std::uint64_t begin = end;
    offsets.push_back(begin);
    const std::optional<std::uint64_t> size = bytes_of(tensor.dtype, tensor.shape);
    if (!size || __builtin_add_overflow(begin, *size, &end) ||
        end > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      throw Error(
          ErrorKind::invalid_argument,
          fmt::format("[safetensors] shape: expected whole bytes and at most 2^63 - 1 bytes in "
                      "all tensors, got {} for \"{}\"",
                      tensor.shape.to_string(), printable(tensor.name)));
    Json entry = Json::object();
    entry["dtype"] = std::string(name_of(tensor.dtype));
    entry["shape"] =
        std::vector<std::int64_t>(tensor.shape.dims().begin(), tensor.shape.dims().end());
    entry["data_offsets"] = {begin, end};
    entries.emplace_back(tensor.name, std::move(entry));
  }
  data_bytes = end;
  try {
    return header.dump();
  } catch (const Json::type_error&) {  // dump() has no other error
    throw Error(ErrorKind::invalid_argument,
                "[safetensors] names and metadata: expected UTF-8, got other bytes");
  }
}

constexpr std::size_t kLengthBytes = 8;

/// The length of the header and the header. Fills in what header_json() fills in.
std::string head_of(const std::vector<SafetensorsSpec>& tensors,
                    const std::map<std::string, std::string>& metadata,
                    std::vector<std::uint64_t>& offsets, std::uint64_t& data_bytes) {
  std::string header = header_json(tensors, metadata, offsets, data_bytes);
  // Pads the header so that the data begins at a multiple of 8, because other readers map the file.
  header.resize(align_up(header.size(), 8), ' ');
  if (header.size() > kMaxSafetensorsHeaderBytes)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[safetensors] header: expected at most {} bytes, got {}",
                            kMaxSafetensorsHeaderBytes, header.size()));
  std::string length(kLengthBytes, '\0');
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    length[i] = static_cast<char>(std::uint64_t{header.size()} >> (8 * i) & 0xFF);
  return length + header;
}

}  // namespace

std::string safetensors_head(const std::vector<SafetensorsSpec>& tensors,
                             const std::map<std::string, std::string>& metadata) {
  std::vector<std::uint64_t> offsets;
  std::uint64_t data_bytes = 0;
  return head_of(tensors, metadata, offsets, data_bytes);
}

std::string describe(const TensorInfo& tensor) {
  return fmt::format("{} {}", name_of(tensor.dtype), tensor.shape.to_string());
}

SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_size,
                                           std::string_view name) {
  if (json.size() > kMaxSafetensorsHeaderBytes)
    fail(name, fmt::format("expected a header of at most {} bytes, got {}",
                           kMaxSafetensorsHeaderBytes, json.size()));
  if (!json.starts_with('{'))
    fail(name, fmt::format("at byte 8: expected the header to begin with '{{', got \"{}\"",
                           printable(json.substr(0, 8))));
  // The header has three levels of nesting: the header itself, a tensor, and the tensor's shape.
  const Json root = parse_json(json, fmt::format("{}: header", name),
                               {.max_bytes = kMaxSafetensorsHeaderBytes, .max_depth = 3});

  SafetensorsHeader header;
  for (const auto& [key, value] : root.items()) {
    if (key == kMetadataKey)
      header.metadata = parse_metadata(value, name);
    else
      header.tensors.push_back(parse_tensor(key, value, name));
  }
  const std::uint64_t data_bytes = refuse_untiled(header.tensors, name);
  const std::uint64_t data_begin = 8 + json.size();
  const std::uint64_t expected = data_begin + data_bytes;  // < 2^63 + 10^8
  if (file_size < expected)
    fail(name, fmt::format("expected {} bytes, found {}: the download looks incomplete", expected,
                           file_size));
  if (file_size > expected)
    fail(name, fmt::format("at byte {}: expected the end of the file after the last tensor, found "
                           "{} bytes more",
                           expected, file_size - expected));
  for (TensorInfo& tensor : header.tensors) tensor.offset_bytes += data_begin;
  return header;
}

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, std::vector<Spec> tensors,
                                     std::map<std::string, std::string> metadata)
    : file_(std::move(path)), tensors_(std::move(tensors)), metadata_(std::move(metadata)) {
  const std::string head = head_of(tensors_, metadata_, offsets_, remaining_bytes_);
  file_.write(head);
  for (std::uint64_t& offset : offsets_) offset += head.size();
  header_bytes_ = head.size() - kLengthBytes;
}

void SafetensorsWriter::count(std::size_t n_bytes) {
  if (n_bytes > remaining_bytes_)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[safetensors] write: expected at most {} bytes more, got {}",
                            remaining_bytes_, n_bytes));
  remaining_bytes_ -= n_bytes;
}

void SafetensorsWriter::write(std::span<const std::byte> bytes) {
  count(bytes.size());
  file_.write(bytes);
}

void SafetensorsWriter::write_part(std::size_t tensor, std::uint64_t offset,
                                   std::span<const std::byte> bytes) {
  count(bytes.size());
  file_.write_at(offsets_.at(tensor) + offset, bytes);
}

void SafetensorsWriter::shrink(std::size_t tensor, const StoredShape& shape) {
  Spec& spec = tensors_.at(tensor);
  BX_ASSERT(shape.elements() <= spec.shape.elements(), "a tensor can only shrink");
  const std::size_t n_bytes = *bytes_of(spec.dtype, spec.shape) - *bytes_of(spec.dtype, shape);
  count(n_bytes);
  spec.shape = shape;
  for (std::size_t i = tensor + 1; i < offsets_.size(); ++i) offsets_[i] -= n_bytes;
  is_shrunk_ = true;
}

void SafetensorsWriter::commit() {
  if (remaining_bytes_ != 0)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[safetensors] commit: expected every announced byte to be written, "
                            "{} are missing",
                            remaining_bytes_));
  if (is_shrunk_) {
    // The new header fits into the space of the old one, because smaller numbers have no more
    // digits.
    std::vector<std::uint64_t> offsets;
    std::string header = header_json(tensors_, metadata_, offsets, remaining_bytes_);
    header.resize(header_bytes_, ' ');
    file_.write_at(kLengthBytes, std::as_bytes(std::span(header)));
  }
  file_.commit();
}

}  // namespace bitaxon
