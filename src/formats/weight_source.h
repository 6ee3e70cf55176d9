// Finds a weight in a checkpoint, in any stored format.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "bitaxon/shape.h"
#include "formats/safetensors.h"
#include "formats/weight_format.h"

namespace bitaxon {

/// The tensors of one weight in a checkpoint. The pointers point into the checkpoint's list of
/// tensors. They are null for parts that the format lacks. quant_state is the tensor with the JSON
/// text of nf4 and fp4. `ignored` belongs to the weight, but its content does not matter.
struct WeightSource {
  WeightDesc desc;
  const TensorInfo* data = nullptr;
  const TensorInfo* scales = nullptr;
  const TensorInfo* biases = nullptr;
  const TensorInfo* quant_map = nullptr;
  const TensorInfo* nested_scales = nullptr;
  const TensorInfo* nested_quant_map = nullptr;
  const TensorInfo* quant_state = nullptr;
  const TensorInfo* ignored = nullptr;
  /// The matrices of a stack that are separate weights. Then all pointers above are null.
  std::vector<WeightSource> matrices = {};

  /// The tensor of the elements or codes, or of those of the first matrix. Null if no file has the
  /// weight.
  const TensorInfo* first_tensor() const { return matrices.empty() ? data : matrices.front().data; }
};

/// The tensors of `source` that are not null.
std::vector<const TensorInfo*> tensors_of(const WeightSource& source);

/// Finds tensor `name` (it ends in ".weight", or is a plain parameter such as "layer_0.ssm.A_log")
/// with logical shape `shape`: rank 1 [cols], rank 2 [rows, cols], rank 3 [n_matrices, rows, cols].
/// Empty when the checkpoint has no such tensor.
/// The types and shapes of the tensors tell the format.
/// Throws Error(format) for a wrong shape or dtype, for a missing scales/biases/absmax/quant_map
/// part, and for a quant_state that does not fit the tensors. The message names the tensor, the
/// dtype and shape found, and what was expected. Throws Error(unsupported) for a known format
/// that the program does not read (foreign_format.h); the message names the format. Throws
/// Error(io) when the tensor may be in a missing shard. Rank 1 is always dense. If
/// `allow_quantized` is false, only dense floats are accepted.
std::optional<WeightSource> find_weight(const Checkpoint& checkpoint, std::string_view name,
                                        const Shape& shape, bool allow_quantized);

/// The bytes of all parts in one buffer. Every part is aligned to 64 bytes.
struct LoadedWeight {
  std::vector<std::byte> storage;
  WeightParts parts;
};

/// The parts of a LoadedWeight, for writing.
struct WritableParts {
  std::span<std::byte> data, scales, biases, quant_map, nested_scales, nested_quant_map;
};
/// Makes room in `into` for every part of a weight, and returns the parts. Reuses the storage of
/// `into`, so that one staging buffer can be used for a whole model. Sets into.parts to the same
/// bytes.
WritableParts lay_out(const WeightDesc& desc, LoadedWeight& into);

/// Reads a tensor. Does nothing if it is null.
void read_tensor(const Checkpoint& checkpoint, const TensorInfo* tensor, std::span<std::byte> to);
/// Reads every part of a weight in its stored form. Leaves out parts whose tensor is null.
void read_parts(const Checkpoint& checkpoint, const WeightSource& source, const WritableParts& to);
/// Reads every part of a weight, in its stored form, into `into`. The matrices of the weight must not
/// be separate weights. The storage of `into` is reused as in lay_out().
void read_weight(const Checkpoint& checkpoint, const WeightSource& source, LoadedWeight& into);

/// A function that reads elements [first, first + out.size()) of a dense weight as floats. The
/// checkpoint and the source must outlive it.
std::function<void(std::int64_t first, std::span<float> out)> dense_reader(
    const Checkpoint& checkpoint, const WeightSource& source);

}  // namespace bitaxon
