// Parts of find_weight(): the search for the tensors of one weight in the formats of one program.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bitaxon/shape.h"
#include "formats/safetensors.h"
#include "formats/weight_source.h"

namespace bitaxon {

/// The end of the name of every weight that may be quantized.
inline constexpr std::string_view kWeightEnd = ".weight";

/// The search for one weight: the checkpoint, the tensor that the messages name, and the logical
/// shape.
struct WeightSearch {
  const Checkpoint& checkpoint;
  const TensorInfo& data;
  const Shape& shape;

  /// Throws Error(format) that names the tensor `at`.
  [[noreturn]] void fail(const TensorInfo& at, std::string_view what) const;
  [[noreturn]] void fail_expected(const TensorInfo& at, std::string_view expected) const;

  /// The tensor `name`, which the weight needs. `what` describes the codes in messages. Throws if
  /// the checkpoint does not have the tensor.
  const TensorInfo& part(const std::string& name, std::string_view what) const;
  /// Does the same and checks type and shape, [size].
  const TensorInfo& part(const std::string& name, std::string_view what, DType dtype,
                         std::int64_t size) const;
  /// The name of the weight's tensor without ".weight".
  std::string stem() const;
};

/// U32 codes of MLX: affine, mxfp4, mxfp8 or nvfp4. `desc` has the name and the logical shape.
WeightSource find_mlx(const WeightSearch& search, WeightDesc desc);
/// U8 codes of bitsandbytes: NF4 or FP4.
WeightSource find_bitsandbytes_4bit(const WeightSearch& search, WeightDesc desc);
/// I8 codes of bitsandbytes.
WeightSource find_bitsandbytes_int8(const WeightSearch& search, WeightDesc desc);

}  // namespace bitaxon
