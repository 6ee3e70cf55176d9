#include "model/state_file.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>

#include "bitaxon/error.h"
#include "formats/safetensors.h"
#include "model/sequence_pages.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

constexpr const char* kFormat = "bit-axon state";
constexpr const char* kVersion = "1";

std::string fingerprint_text(const StatePool& pool) {
  return fmt::format("{:016x}", pool.options().fingerprint);
}

const char* precision_text(const StatePool& pool) {
  return pool.options().kv_dtype == DType::f32 ? "exact" : "fast";
}

/// The checksum of a state: of its tensors, and of its position, which is in no tensor.
std::uint64_t checksum(const StateSnapshot& snapshot) {
  auto hash = static_cast<std::uint64_t>(snapshot.position);
  for (const auto& bytes : snapshot.tensors)
    hash = XXH3_64bits_withSeed(bytes.data(), bytes.size(), hash);
  return hash;
}

/// The tensors in the file of a state that has `position` tokens, in the order of the layout.
std::vector<SafetensorsWriter::Spec> specs(const StatePool& pool, std::int64_t position) {
  std::vector<SafetensorsWriter::Spec> specs;
  const StateLayout& layout = pool.layout();
  for (const StateTensor& tensor : layout.tensors) {
    if (!is_in_snapshot(tensor.kind)) continue;
    Shape shape = tensor.shape;
    if (tensor.kind == StateKind::paged)
      shape = {rows_kept(layout, tensor, position), tensor.shape[1]};
    specs.push_back({tensor.name, tensor.dtype, shape});
  }
  return specs;
}

std::map<std::string, std::string> metadata_of(const StatePool& pool,
                                               const StateSnapshot& snapshot) {
  return {{"format", kFormat},
          {"version", kVersion},
          {"model", fingerprint_text(pool)},
          {"precision", precision_text(pool)},
          {"tokens", std::to_string(snapshot.position)},
          {"checksum", fmt::format("{:016x}", checksum(snapshot))}};
}

/// A saved state that is read, wherever its bytes are.
struct SavedState {
  std::string name;  ///< begins messages
  std::map<std::string, std::string> metadata;
  std::function<const TensorInfo*(const std::string& name)> find;
  std::function<void(const TensorInfo& tensor, std::span<std::byte> out)> read;

  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorKind::format, fmt::format("{}: {}", name, message));
  }
  /// Refuses the state unless an entry of its metadata has the expected value.
  void expect_entry(const char* key, const std::string& expected, const char* meaning) const;
  std::int64_t position(const StatePool& pool) const;
  StateSnapshot snapshot(const StatePool& pool) const;
};

void SavedState::expect_entry(const char* key, const std::string& expected,
                              const char* meaning) const {
  const auto entry = metadata.find(key);
  const std::string got = entry == metadata.end() ? "none" : printable(entry->second, 40);
  if (got != expected) fail(fmt::format("{}: expected {}, got {}", meaning, expected, got));
}

std::int64_t SavedState::position(const StatePool& pool) const {
  const auto entry = metadata.find("tokens");
  std::int64_t position = -1;
  if (entry != metadata.end()) {
    const std::string& text = entry->second;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), position);
    if (result.ec != std::errc() || result.ptr != text.data() + text.size()) position = -1;
  }
  if (position < 0 || position > pool.context())
    fail(fmt::format("saved state's token count: expected 0..{}, got {}", pool.context(),
                     entry == metadata.end() ? "none" : printable(entry->second, 40)));
  return position;
}

StateSnapshot SavedState::snapshot(const StatePool& pool) const {
  expect_entry("format", kFormat, "not a saved state: format");
  expect_entry("version", kVersion, "saved state's version");
  expect_entry("model", fingerprint_text(pool), "the state of another model: fingerprint");
  expect_entry("precision", precision_text(pool), "saved state's precision (--precision)");
  StateSnapshot snapshot;
  snapshot.position = position(pool);
  const auto wanted = specs(pool, snapshot.position);
  std::size_t next = 0;
  for (const StateTensor& entry : pool.layout().tensors) {
    std::vector<std::byte>& bytes = snapshot.tensors.emplace_back();
    if (!is_in_snapshot(entry.kind)) continue;
    const SafetensorsWriter::Spec& spec = wanted[next++];
    const TensorInfo* tensor = find(spec.name);
    if (tensor == nullptr || tensor->dtype != spec.dtype || !(tensor->shape == spec.shape))
      fail(fmt::format("tensor {}: expected {} {}, got {}", spec.name, name_of(spec.dtype),
                       spec.shape.to_string(), tensor == nullptr ? "none" : describe(*tensor)));
    bytes.resize(static_cast<std::size_t>(tensor->size_bytes));
    read(*tensor, bytes);
  }
  expect_entry("checksum", fmt::format("{:016x}", checksum(snapshot)),
               "the file is damaged: checksum");
  return snapshot;
}

}  // namespace

void write_state_file(const std::filesystem::path& path, const StatePool& pool,
                      const StateSnapshot& snapshot) {
  SafetensorsWriter writer(path, specs(pool, snapshot.position), metadata_of(pool, snapshot));
  for (const auto& bytes : snapshot.tensors) writer.write(bytes);
  writer.commit();
}

StateSnapshot read_state_file(const std::filesystem::path& path, const StatePool& pool) {
  const std::string name = printable_path(path.string());
  std::error_code ignored;  // opening the file below reports the error
  if (std::filesystem::is_directory(path, ignored))
    throw Error(ErrorKind::format,
                fmt::format("{}: expected a saved state, got a directory", name));
  const Checkpoint file = Checkpoint::open(path);
  const SavedState saved{
      name, file.metadata(), [&](const std::string& tensor) { return file.find(tensor); },
      [&](const TensorInfo& tensor, std::span<std::byte> out) { file.read(tensor, out); }};
  return saved.snapshot(pool);
}

std::vector<std::byte> state_file_bytes(const StatePool& pool, const StateSnapshot& snapshot) {
  const std::string head =
      safetensors_head(specs(pool, snapshot.position), metadata_of(pool, snapshot));
  std::size_t size = head.size();
  for (const auto& bytes : snapshot.tensors) size += bytes.size();
  std::vector<std::byte> all;
  all.reserve(size);
  const auto append = [&](std::span<const std::byte> bytes) {
    all.insert(all.end(), bytes.begin(), bytes.end());
  };
  append(std::as_bytes(std::span(head)));
  for (const auto& bytes : snapshot.tensors) append(bytes);
  return all;
}

StateSnapshot read_state_bytes(std::span<const std::byte> bytes, const StatePool& pool) {
  constexpr std::size_t kLengthBytes = 8;
  const std::string name = "saved state";
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < std::min(bytes.size(), kLengthBytes); ++i)
    length |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  if (bytes.size() < kLengthBytes || length > bytes.size() - kLengthBytes)
    throw Error(ErrorKind::format, fmt::format("{}: expected the bytes of a saved state, got {} "
                                               "bytes that end within the header",
                                               name, bytes.size()));
  const std::string_view json(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
                              static_cast<std::size_t>(length));
  const SafetensorsHeader header = parse_safetensors_header(json, bytes.size(), name);
  const SavedState saved{
      name, header.metadata,
      [&](const std::string& tensor) -> const TensorInfo* {
        const auto found = std::ranges::find(header.tensors, tensor, &TensorInfo::name);
        return found == header.tensors.end() ? nullptr : &*found;
      },
      [&](const TensorInfo& tensor, std::span<std::byte> out) {
        std::ranges::copy(bytes.subspan(static_cast<std::size_t>(tensor.offset_bytes), out.size()),
                          out.begin());
      }};
  return saved.snapshot(pool);
}

}  // namespace bitaxon
