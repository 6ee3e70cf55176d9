// Reads and writes the safetensors container. The reader enforces every rule of the format.
// Source: https://huggingface.co/docs/safetensors (format section) and its Rust reference reader.
//
//   byte 0        8            8 + N                       end of file
//   | N: u64 LE   | JSON header | tensor bytes, row-major   |
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "formats/checkpoint_files.h"
#include "formats/stored_type.h"
#include "platform/file.h"

namespace bitaxon {

/// The largest N that the format allows. This also limits how many bytes the program reads for an
/// untrusted header.
inline constexpr std::uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;

struct TensorInfo {
  std::string name;
  StoredType dtype = DType::f32;
  StoredShape shape;
  std::uint64_t offset_bytes = 0;  ///< offset from the start of the file; may be unaligned
  std::uint64_t size_bytes = 0;
  int file = 0;  ///< index of the file in a Checkpoint
};

/// Type and shape as text: "F32 [2, 3]".
std::string describe(const TensorInfo& tensor);

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  ///< in the order of their data
  std::map<std::string, std::string> metadata;
};

/// Parses `json`, the N bytes of the header of a file of `file_size` bytes. Has no side effects.
/// Throws Error(format). The message begins with `name` and names the byte and the tensor. Bytes
/// inside the header are counted from the start of the header.
SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_size,
                                           std::string_view name);

/// The tensors of a model: one safetensors file, or the files of a directory. With
/// model.safetensors.index.json, the checkpoint has the files that the index names. If
/// model.safetensors exists and the index does not name it, the checkpoint has only that file.
/// Without an index, the checkpoint has all safetensors files of the directory.
class Checkpoint {
 public:
  /// Throws Error(io, format) for a missing or truncated file, an empty folder, a Git LFS pointer,
  /// and an index whose shards are all missing. Two files may hold the same tensor only if one of
  /// them is the right file: the file that the index names for the tensor, or model.safetensors if
  /// the index does not list the tensor. Otherwise throws Error(format).
  static Checkpoint open(const std::filesystem::path& file_or_directory);

  /// Problems of the files that are not errors, one line each.
  const std::vector<std::string>& warnings() const { return listing_.warnings; }
  /// Call this for a required tensor that find() does not find. Throws Error(io) when the tensor
  /// may be in a missing file. The index, or the numbers in the file names, tell which files are
  /// missing.
  void refuse_absent(std::string_view tensor) const { listing_.refuse_absent(tensor); }

  /// All tensors, ordered by file, and within a file by the position of their data.
  std::span<const TensorInfo> tensors() const { return tensors_; }
  /// The tensor with this name, or nullptr.
  const TensorInfo* find(std::string_view name) const;
  /// The metadata of all files. If two files have the same key, the value of the first file is
  /// used.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::string& file_name(const TensorInfo& tensor) const;
  std::uint64_t size_bytes() const;  ///< the size of all files

  /// Fills `out` (tensor.size_bytes bytes) with the stored bytes.
  void read(const TensorInfo& tensor, std::span<std::byte> out) const;
  /// Fills `out` with the stored bytes from `offset` on, which must be within the tensor.
  void read_part(const TensorInfo& tensor, std::uint64_t offset, std::span<std::byte> out) const;
  /// Tells the system that this tensor will be read next, and then the later tensors of its file.
  void read_ahead(const TensorInfo& tensor) const noexcept;
  /// Tells the system that the tensor's bytes will not be read again.
  void forget(const TensorInfo& tensor) const noexcept;

 private:
  void read_headers();
  void warn_of_misplaced_tensors();

  CheckpointFiles listing_;
  std::vector<File> files_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
  std::map<std::string, std::string> metadata_;
};

/// A tensor of a file that is written.
struct SafetensorsSpec {
  std::string name;
  StoredType dtype = DType::f32;
  StoredShape shape;
};

/// The bytes in front of the data of a file: the length of the header and the header. Throws
/// Error(invalid_argument) for a header that the format does not allow.
std::string safetensors_head(const std::vector<SafetensorsSpec>& tensors,
                             const std::map<std::string, std::string>& metadata);

/// Writes one safetensors file, tensor by tensor, in any number of pieces. The file gets its name
/// only in commit(), which checks that every announced byte was written.
class SafetensorsWriter {
 public:
  using Spec = SafetensorsSpec;
  SafetensorsWriter(std::filesystem::path path, std::vector<Spec> tensors,
                    std::map<std::string, std::string> metadata = {});
  /// Appends bytes of the tensors, in the announced order. Throws Error(io).
  void write(std::span<const std::byte> bytes);
  /// An alternative to write(). Writes bytes of one tensor, beginning at its byte `offset`. Each
  /// byte must be written once. The order does not matter.
  void write_part(std::size_t tensor, std::uint64_t offset, std::span<const std::byte> bytes);
  /// Makes a tensor smaller than announced. Call this before any byte of this tensor or of a later
  /// tensor is written.
  void shrink(std::size_t tensor, const StoredShape& shape);
  void commit();

 private:
  void count(std::size_t n_bytes);

  AtomicFile file_;
  std::vector<Spec> tensors_;
  std::map<std::string, std::string> metadata_;
  std::size_t header_bytes_ = 0;
  bool is_shrunk_ = false;
  std::vector<std::uint64_t> offsets_;  ///< where each tensor begins in the file
  std::uint64_t remaining_bytes_ = 0;
};

}  // namespace bitaxon
