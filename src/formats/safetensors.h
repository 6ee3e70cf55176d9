// The safetensors container, read with every rule of the format enforced, and written.
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

/// The format's own limit on N, which also bounds what a stranger's header can make us read.
inline constexpr std::uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;

struct TensorInfo {
  std::string name;
  StoredType dtype = DType::f32;
  StoredShape shape;
  std::uint64_t offset_bytes = 0;  ///< from the start of the file; may be unaligned
  std::uint64_t size_bytes = 0;
  int file = 0;  ///< which file of a Checkpoint
};

/// "F32 [2, 3]"
std::string describe(const TensorInfo& tensor);

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  ///< in the order of their data
  std::map<std::string, std::string> metadata;
};

/// Parses the header `json` (the N bytes) of a file of `file_size` bytes. Pure. Throws
/// Error(format) that begins with `name` and names byte and tensor; bytes inside the header count
/// from its start.
SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_size,
                                           std::string_view name);

/// The tensors of a model: one safetensors file, or those of a directory. With
/// model.safetensors.index.json these are the files that it names, or model.safetensors alone where
/// that is there and the index does not name it; without an index all of any names.
class Checkpoint {
 public:
  /// Throws Error(io, format): missing, empty folder, a Git LFS pointer, truncated, all shards
  /// missing, a tensor in two files of which neither the index names one nor one is
  /// model.safetensors.
  static Checkpoint open(const std::filesystem::path& file_or_directory);

  /// What is odd about the files and no error, a line each.
  const std::vector<std::string>& warnings() const { return listing_.warnings; }
  /// For a tensor that find() does not know and that is needed: throws Error(io) when it can be in
  /// a file that is not there, by the index or by the numbers in the files' names.
  void refuse_absent(std::string_view tensor) const { listing_.refuse_absent(tensor); }

  /// In file order, within a file in data order.
  std::span<const TensorInfo> tensors() const { return tensors_; }
  /// nullptr when there is none of that name.
  const TensorInfo* find(std::string_view name) const;
  /// Of all files together; the first file wins where two name a key.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::string& file_name(const TensorInfo& tensor) const;
  std::uint64_t size_bytes() const;  ///< of all files

  /// Fills `out` (tensor.size_bytes) with the stored bytes.
  void read(const TensorInfo& tensor, std::span<std::byte> out) const;
  /// The same for the bytes from `offset` on; they must not go beyond the tensor.
  void read_part(const TensorInfo& tensor, std::uint64_t offset, std::span<std::byte> out) const;
  /// The tensor is read next, and then those that follow it in its file.
  void read_ahead(const TensorInfo& tensor) const noexcept;
  /// The tensor's bytes will not be read again.
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

/// Writes one safetensors file, tensor by tensor, in any number of pieces; the file appears under
/// its name only with commit(), which checks that every announced byte was written.
class SafetensorsWriter {
 public:
  struct Spec {
    std::string name;
    StoredType dtype = DType::f32;
    StoredShape shape;
  };
  SafetensorsWriter(std::filesystem::path path, std::vector<Spec> tensors,
                    std::map<std::string, std::string> metadata = {});
  /// Appends to the data, which is the tensors' bytes in the announced order. Throws Error(io).
  void write(std::span<const std::byte> bytes);
  /// Instead: bytes of one tensor, of which the first is byte `offset`; each byte once, in any
  /// order.
  void write_part(std::size_t tensor, std::uint64_t offset, std::span<const std::byte> bytes);
  /// Gives a tensor less room than was announced, as long as nothing is written of it and of those
  /// behind it.
  void shrink(std::size_t tensor, const StoredShape& shape);
  void commit();

 private:
  void count(std::size_t n_bytes);

  AtomicFile file_;
  std::vector<Spec> tensors_;
  std::map<std::string, std::string> metadata_;
  std::size_t header_bytes_ = 0;
  bool is_shrunk_ = false;
  std::vector<std::uint64_t> offsets_;  ///< of the tensors, from the start of the file
  std::uint64_t remaining_bytes_ = 0;
};

}  // namespace bitaxon
