#include "model/state_file.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <charconv>

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
    if (tensor.kind == StateKind::transient) continue;
    Shape shape = tensor.shape;
    if (tensor.kind == StateKind::paged)
      shape = {rows_kept(layout, tensor, position), tensor.shape[1]};
    specs.push_back({tensor.name, tensor.dtype, shape});
  }
  return specs;
}

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& message) {
  throw Error(ErrorKind::format, fmt::format("{}: {}", printable_path(path.string()), message));
}

/// Refuses the file unless an entry of its metadata has the expected value.
void expect_entry(const std::filesystem::path& path, const Checkpoint& file, const char* key,
                  const std::string& expected, const char* meaning) {
  const auto entry = file.metadata().find(key);
  const std::string got = entry == file.metadata().end() ? "none" : printable(entry->second, 40);
  if (got != expected) fail(path, fmt::format("{}: expected {}, got {}", meaning, expected, got));
}

std::int64_t read_position(const std::filesystem::path& path, const Checkpoint& file,
                           const StatePool& pool) {
  const auto entry = file.metadata().find("tokens");
  std::int64_t position = -1;
  if (entry != file.metadata().end()) {
    const std::string& text = entry->second;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), position);
    if (result.ec != std::errc() || result.ptr != text.data() + text.size()) position = -1;
  }
  if (position < 0 || position > pool.context())
    fail(path, fmt::format("saved state's token count: expected 0..{}, got {}", pool.context(),
                           entry == file.metadata().end() ? "none" : printable(entry->second, 40)));
  return position;
}

}  // namespace

void write_state_file(const std::filesystem::path& path, const StatePool& pool,
                      const StateSnapshot& snapshot) {
  SafetensorsWriter writer(path, specs(pool, snapshot.position),
                           {{"format", kFormat},
                            {"version", kVersion},
                            {"model", fingerprint_text(pool)},
                            {"precision", precision_text(pool)},
                            {"tokens", std::to_string(snapshot.position)},
                            {"checksum", fmt::format("{:016x}", checksum(snapshot))}});
  for (const auto& bytes : snapshot.tensors) writer.write(bytes);
  writer.commit();
}

StateSnapshot read_state_file(const std::filesystem::path& path, const StatePool& pool) {
  std::error_code ignored;  // opening the file below reports the error
  if (std::filesystem::is_directory(path, ignored))
    fail(path, "expected a saved state, got a directory");
  const Checkpoint file = Checkpoint::open(path);
  expect_entry(path, file, "format", kFormat, "not a saved state: format");
  expect_entry(path, file, "version", kVersion, "saved state's version");
  expect_entry(path, file, "model", fingerprint_text(pool),
               "the state of another model: fingerprint");
  expect_entry(path, file, "precision", precision_text(pool),
               "saved state's precision (--precision)");
  StateSnapshot snapshot;
  snapshot.position = read_position(path, file, pool);
  const auto wanted = specs(pool, snapshot.position);
  std::size_t next = 0;
  for (const StateTensor& entry : pool.layout().tensors) {
    std::vector<std::byte>& bytes = snapshot.tensors.emplace_back();
    if (entry.kind == StateKind::transient) continue;
    const SafetensorsWriter::Spec& spec = wanted[next++];
    const TensorInfo* tensor = file.find(spec.name);
    if (tensor == nullptr || tensor->dtype != spec.dtype || !(tensor->shape == spec.shape))
      fail(path,
           fmt::format("tensor {}: expected {} {}, got {}", spec.name, name_of(spec.dtype),
                       spec.shape.to_string(), tensor == nullptr ? "none" : describe(*tensor)));
    bytes.resize(static_cast<std::size_t>(tensor->size_bytes));
    file.read(*tensor, bytes);
  }
  expect_entry(path, file, "checksum", fmt::format("{:016x}", checksum(snapshot)),
               "the file is damaged: checksum");
  return snapshot;
}

}  // namespace bitaxon
