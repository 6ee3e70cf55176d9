// Opens the files of a model, and names the kind of a file that is not in safetensors format.
#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "bitaxon/error.h"
#include "formats/foreign_format.h"
#include "formats/pointer_file.h"
#include "formats/safetensors.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(ErrorKind kind, const fs::path& path, std::string_view what) {
  throw Error(kind, fmt::format("{}: {}", printable_path(path.string()), what));
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
  if (length > kMaxSafetensorsHeaderBytes) {
    if (const std::string_view kind = file_kind(head); !kind.empty())
      fail(ErrorKind::format, path,
           fmt::format("not a safetensors file, but {}, which is not read; {}", kind,
                       kFormatsThatRun));
    fail(ErrorKind::format, path,
         fmt::format("not a safetensors file: expected a header length of at most {} at byte 0, "
                     "got {}; the file begins with \"{}\"",
                     kMaxSafetensorsHeaderBytes, length, printable(head, 16)));
  }
  if (length > size - 8)
    fail(ErrorKind::format, path,
         fmt::format("expected at least {} bytes (a header of {}), found {}: the download looks "
                     "incomplete",
                     8 + length, length, size));
  std::string json(static_cast<std::size_t>(length), '\0');
  file.read_at(8, std::as_writable_bytes(std::span(json)));
  return parse_safetensors_header(json, size, file.name());
}

}  // namespace

Checkpoint Checkpoint::open(const fs::path& file_or_directory) {
  Checkpoint checkpoint;
  checkpoint.listing_ = list_checkpoint_files(file_or_directory);
  checkpoint.read_headers();
  checkpoint.warn_of_misplaced_tensors();
  return checkpoint;
}

void Checkpoint::read_headers() {
  const std::vector<fs::path>& paths = listing_.files;
  std::vector<SafetensorsHeader> headers;
  std::map<std::string, std::size_t> sources;  // tensor name to the index of the tensor's file
  std::size_t n_doubles = 0;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    files_.push_back(File::open(paths[i]));
    headers.push_back(read_header(files_.back()));
    for (const TensorInfo& tensor : headers.back().tensors) {
      const auto [source, is_new] = sources.emplace(tensor.name, i);
      if (is_new) continue;
      ++n_doubles;
      const std::string owner = listing_.owner_of(tensor.name);
      if (paths[i].filename() == owner)
        source->second = i;
      else if (paths[source->second].filename() != owner)
        fail(ErrorKind::format, paths[i],
             fmt::format("tensor \"{}\" is also in {}", printable(tensor.name),
                         printable_path(paths[source->second].string())));
    }
  }
  for (std::size_t i = 0; i < headers.size(); ++i) {
    for (TensorInfo& tensor : headers[i].tensors) {
      if (sources.at(tensor.name) != i) continue;
      tensor.file = static_cast<int>(i);
      by_name_.emplace(tensor.name, tensors_.size());
      tensors_.push_back(std::move(tensor));
    }
    metadata_.merge(headers[i].metadata);
  }
  if (n_doubles > 0)
    listing_.warnings.push_back(
        fmt::format("{}: {} tensor{} in several files; {} is used",
                    printable_path(paths.front().parent_path().string()), n_doubles,
                    n_doubles == 1 ? " is" : "s are",
                    listing_.index.empty() ? "model.safetensors" : "the one in the index"));
}

/// Warns of tensors that are not in the file that the index names. This is no error, because the
/// index may list tensors that the model does not need, or may be older than the files.
void Checkpoint::warn_of_misplaced_tensors() {
  std::size_t n = 0;
  const std::string* first = nullptr;
  for (const auto& [name, file] : listing_.map) {
    const TensorInfo* tensor = find(name);
    const bool is_right = tensor == nullptr ? listing_.absent.contains(name)
                                            : fs::path(file_name(*tensor)).filename() == file;
    if (!is_right && n++ == 0) first = &name;
  }
  if (n > 0)
    listing_.warnings.push_back(fmt::format(
        "{}: {} of its {} tensors {} not in the file that it names, the first is \"{}\"",
        printable_path(listing_.index.string()), n, listing_.map.size(), n == 1 ? "is" : "are",
        printable(*first)));
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
