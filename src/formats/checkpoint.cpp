// Which files make up a model, and what they turn out to be when they are no safetensors.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "formats/pointer_file.h"
#include "formats/safetensors.h"
#include "platform/optional_file.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".safetensors";
constexpr std::string_view kIndexName = "model.safetensors.index.json";

[[noreturn]] void fail(ErrorKind kind, const fs::path& path, std::string_view what) {
  throw Error(kind, fmt::format("{}: {}", printable_path(path.string()), what));
}

/// `head`: the first bytes of a file whose first eight are no header length.
std::string_view guess_what_it_is(std::string_view head) {
  const std::size_t begin = head.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  if (begin == head.npos) return "";
  head.remove_prefix(begin);
  if (head.starts_with('<')) return " (an HTML page, as a failed download leaves?)";
  if (head.starts_with('{')) return " (JSON?)";
  if (head.starts_with("GGUF")) return " (a GGUF file, which is not read)";
  if (head.starts_with("PK\x03\x04")) return " (a zip archive, perhaps PyTorch's, not read)";
  return "";
}

SafetensorsHeader read_header(const File& file) {
  const fs::path path = file.name();
  const std::uint64_t size = file.size_bytes();
  std::string head(static_cast<std::size_t>(std::min<std::uint64_t>(size, 64)), '\0');
  file.read_at(0, std::as_writable_bytes(std::span(head)));
  refuse_pointer_or_empty(head, path);
  if (size < 8)
    fail(ErrorKind::format, path,
         fmt::format("not a safetensors file: expected at least 8 bytes, got {}", size));
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 8; ++i)
    length |= std::uint64_t{static_cast<std::uint8_t>(head[i])} << (8 * i);
  if (length > kMaxSafetensorsHeaderBytes)
    fail(ErrorKind::format, path,
         fmt::format("not a safetensors file: expected a header length of at most {} at byte 0, "
                     "got {}; the file begins with \"{}\"{}",
                     kMaxSafetensorsHeaderBytes, length, printable(head, 16),
                     guess_what_it_is(head)));
  if (length > size - 8)
    fail(ErrorKind::format, path,
         fmt::format("expected at least {} bytes (a header of {}), found {}: the download looks "
                     "incomplete",
                     8 + length, length, size));
  std::string json(static_cast<std::size_t>(length), '\0');
  file.read_at(8, std::as_writable_bytes(std::span(json)));
  return parse_safetensors_header(json, size, file.name());
}

std::vector<fs::path> files_by_extension(const fs::path& directory) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    // A leading dot: what other systems keep beside a file (._model.safetensors).
    if (name.ends_with(kExtension) && !name.starts_with('.')) files.push_back(it->path());
  }
  if (error)
    fail(ErrorKind::io, directory, fmt::format("cannot list the folder: {}", error.message()));
  if (files.empty()) fail(ErrorKind::io, directory, "there is no *.safetensors in this folder");
  std::sort(files.begin(), files.end());
  return files;
}

/// model.safetensors.index.json: {"weight_map": {tensor: file}}.
using WeightMap = std::map<std::string, std::string>;

WeightMap read_index(const fs::path& index) {
  const std::string text = read_whole_file(index, JsonLimits{}.max_bytes);
  refuse_pointer_or_empty(text, index);
  const Json json = parse_json(text, index.string());
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object())
    fail(ErrorKind::format, index, "expected an object with an object \"weight_map\"");
  WeightMap map;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    if (!file.is_string())
      fail(ErrorKind::format, index,
           fmt::format("weight_map: expected a file name for \"{}\", got {}", printable(tensor),
                       printable(file.dump(), 60)));
    const std::string& name = file.get_ref<const std::string&>();
    // A path could lead out of the folder, to any file of this machine.
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string_view("/\\\0", 3)) != name.npos)
      fail(ErrorKind::format, index,
           fmt::format("weight_map: expected a plain file name for \"{}\", got \"{}\"",
                       printable(tensor), printable(name)));
    map.emplace(tensor, name);
  }
  if (map.empty()) fail(ErrorKind::format, index, "weight_map: expected tensors, got none");
  return map;
}

std::vector<fs::path> files_of_index(const fs::path& index, const WeightMap& map) {
  std::vector<std::string> names;
  for (const auto& [tensor, name] : map) names.push_back(name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<fs::path> files;
  for (const std::string& name : names) {
    files.push_back(index.parent_path() / name);
    if (!optional_file_exists(files.back()))
      fail(ErrorKind::io, index,
           fmt::format("names the file \"{}\", which is not there: the download looks incomplete",
                       printable(name)));
  }
  return files;
}

}  // namespace

Checkpoint Checkpoint::open(const fs::path& file_or_directory) {
  std::error_code error;
  WeightMap map;
  fs::path index;
  std::vector<fs::path> paths = {file_or_directory};
  if (fs::is_directory(file_or_directory, error)) {
    index = file_or_directory / kIndexName;
    if (optional_file_exists(index)) {
      map = read_index(index);
      paths = files_of_index(index, map);
    } else {
      paths = files_by_extension(file_or_directory);
    }
  }

  Checkpoint checkpoint;
  for (const fs::path& path : paths) checkpoint.add(File::open(path));
  for (const auto& [name, file] : map) {
    const TensorInfo* tensor = checkpoint.find(name);
    if (tensor == nullptr || fs::path(checkpoint.file_name(*tensor)).filename() != file)
      fail(ErrorKind::format, index,
           fmt::format("weight_map: tensor \"{}\" is not in \"{}\"", printable(name),
                       printable(file)));
  }
  return checkpoint;
}

void Checkpoint::add(File file) {
  SafetensorsHeader header = read_header(file);
  const int number = static_cast<int>(files_.size());
  files_.push_back(std::move(file));
  for (TensorInfo& tensor : header.tensors) {
    tensor.file = number;
    const auto [at, is_new] = by_name_.emplace(tensor.name, tensors_.size());
    if (!is_new)
      fail(ErrorKind::format, files_.back().name(),
           fmt::format("tensor \"{}\" is also in {}", printable(tensor.name),
                       printable_path(file_name(tensors_[at->second]))));
    tensors_.push_back(std::move(tensor));
  }
  metadata_.merge(header.metadata);
}

const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : &tensors_[at->second];
}

const std::string& Checkpoint::file_name(const TensorInfo& tensor) const {
  return files_[static_cast<std::size_t>(tensor.file)].name();
}

std::uint64_t Checkpoint::size_bytes() const {
  std::uint64_t size = 0;
  for (const File& file : files_) size += file.size_bytes();
  return size;
}

void Checkpoint::read(const TensorInfo& tensor, std::span<std::byte> out) const {
  if (out.size() != tensor.size_bytes)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[checkpoint] read: expected room for the {} bytes of \"{}\", got {}",
                            tensor.size_bytes, printable(tensor.name), out.size()));
  files_[static_cast<std::size_t>(tensor.file)].read_at(tensor.offset_bytes, out);
}

void Checkpoint::read_part(const TensorInfo& tensor, std::uint64_t offset,
                           std::span<std::byte> out) const {
  if (offset > tensor.size_bytes || out.size() > tensor.size_bytes - offset)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[checkpoint] read: expected bytes within the {} of \"{}\", got {} "
                            "from {}",
                            tensor.size_bytes, printable(tensor.name), out.size(), offset));
  files_[static_cast<std::size_t>(tensor.file)].read_at(tensor.offset_bytes + offset, out);
}

void Checkpoint::read_ahead(const TensorInfo& tensor) const noexcept {
  files_[static_cast<std::size_t>(tensor.file)].read_ahead(tensor.offset_bytes, tensor.size_bytes);
}

void Checkpoint::forget(const TensorInfo& tensor) const noexcept {
  files_[static_cast<std::size_t>(tensor.file)].forget(tensor.offset_bytes, tensor.size_bytes);
}

}  // namespace bitaxon
