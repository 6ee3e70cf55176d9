// Finds a weight in a checkpoint, whatever its stored format.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "bitaxon/shape.h"
#include "formats/safetensors.h"
#include "formats/weight_format.h"

namespace bitaxon {

/// Where the parts of one weight lie in a checkpoint. Pointers into the checkpoint's tensor list;
/// nullptr for parts the format does not have. quant_state is the nf4 JSON blob.
struct WeightSource {
  WeightDesc desc;
  const TensorInfo* data = nullptr;
  const TensorInfo* scales = nullptr;
  const TensorInfo* biases = nullptr;
  const TensorInfo* quant_map = nullptr;
  const TensorInfo* nested_scales = nullptr;
  const TensorInfo* nested_quant_map = nullptr;
  const TensorInfo* quant_state = nullptr;
};

/// All of them that there are.
std::vector<const TensorInfo*> tensors_of(const WeightSource& source);

/// Finds tensor `name` (it ends in ".weight", or is a plain parameter such as "layer_0.ssm.A_log")
/// with logical shape `shape`: rank 1 [cols], rank 2 [rows, cols], rank 3 [n_matrices, rows, cols].
/// Empty when the checkpoint has no such tensor.
/// Throws Error(format) that names the tensor, what was found (dtype, shape) and what was expected,
/// for a wrong shape or dtype, a missing scales/biases/absmax/quant_map part, an nf4 quant_state
/// that does not fit the tensors; Error(unsupported) that names the format for one that is
/// recognised and not read (foreign_format.h); Error(io) where the tensor is in a shard that is not
/// there. Rank 1 is always dense. `allow_quantized` false: only dense floats are accepted.
std::optional<WeightSource> find_weight(const Checkpoint& checkpoint, std::string_view name,
                                        const Shape& shape, bool allow_quantized);

/// Bytes of all parts, read into one buffer with every part aligned to 64 bytes.
struct LoadedWeight {
  std::vector<std::byte> storage;
  WeightParts parts;
};

/// The parts of a LoadedWeight, to be filled.
struct WritableParts {
  std::span<std::byte> data, scales, biases, quant_map, nested_scales, nested_quant_map;
};
/// Makes room for every part of a weight. `into` keeps its storage, so that one staging buffer
/// serves a whole model; its parts show what is returned.
WritableParts lay_out(const WeightDesc& desc, LoadedWeight& into);

/// Reads every part. `into` as in lay_out.
void read_weight(const Checkpoint& checkpoint, const WeightSource& source, LoadedWeight& into);

/// Reads elements [first, first + out.size()) of a weight as floats, in pieces. Only for dense
/// weights; the source must outlive it.
std::function<void(std::int64_t first, std::span<float> out)> dense_reader(
    const Checkpoint& checkpoint, const WeightSource& source);

}  // namespace bitaxon
