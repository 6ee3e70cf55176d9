// Small graphs with made-up inputs and weights, which self-tests run on a device.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/backend.h"
#include "core/mix64.h"
#include "core/plan.h"
#include "core/step.h"
#include "formats/weight_format.h"

namespace bitaxon::vulkan {

/// Generates pseudorandom numbers in [-1, 1). The numbers are the same in every run.
class Numbers {
 public:
  float next() {
    return static_cast<float>(static_cast<std::int32_t>(mix64(count_++) >> 32)) * 0x1p-31F;
  }

 private:
  std::uint64_t count_ = 0;
};

/// A synthetic weight in a form that a checkpoint may contain.
struct TrialWeight {
  WeightDesc desc;
  std::vector<std::byte> data, scales, biases;

  WeightParts parts() const;
};
/// `desc` has the format, the types and the sizes. Groups of codes have 32 elements. Floats, scales and
/// biases are in [-most, most).
TrialWeight random_weight(WeightDesc desc, Numbers& numbers, float most = 1);

/// Numbers in [-most, most) as elements of this type.
std::vector<std::byte> random_floats(DType dtype, std::uint64_t size_bytes, Numbers& numbers,
                                     float most = 1);

/// A graph with one output, and the contents of its inputs and its state.
struct Trial {
  Trial();
  Tensor input(DType dtype, const Shape& shape, std::vector<std::byte> bytes);
  void set_output(const Tensor& tensor);
  /// All rows of the step belong to one segment.
  void set_rows(std::uint32_t n_valid);

  std::shared_ptr<Graph> graph;
  Tensor output;  ///< float32
  StepBuffer step;
  StateLayout layout;
  std::vector<std::vector<std::byte>> state;  ///< of each tensor of the layout
  std::vector<std::pair<Tensor, std::vector<std::byte>>> inputs;
};

/// The first `n` elements of the output.
std::vector<float> run(Backend& backend, const Trial& trial, Precision precision, std::size_t n);
/// The product of the weight and the first `n_valid` of `n_rows` rows of x.
std::vector<float> multiply(Backend& backend, const std::shared_ptr<const Weight>& weight,
                            const std::vector<float>& x, std::int64_t n_rows, std::uint32_t n_valid,
                            Precision precision);

/// The size of the difference, relative to the size of `expected` (L2). NaN if a number is NaN.
double relative_error(const std::vector<float>& actual, const std::vector<float>& expected);

}  // namespace bitaxon::vulkan
