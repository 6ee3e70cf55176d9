// Writes weights as tensors, with the names and shapes that weight_source.h looks for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/shape.h"
#include "formats/safetensors.h"
#include "formats/weight_format.h"

namespace bitaxon {

/// A weight to write.
struct StoredWeight {
  std::string name;  ///< "layer_0.ssm.in_proj.weight"
  Shape shape;       ///< logical: [cols], [rows, cols], [n_matrices, rows, cols]
  std::string_view biases_end = ".biases";  ///< affine: the end of the name of the biases
  WeightDesc desc;                          ///< nested_offset may still be unknown
};

/// The names of the tensors that hold the weight.
std::vector<std::string> tensor_names(const StoredWeight& weight);

/// Writes weights part by part to one safetensors file. Tensors of wide elements come first, so
/// that each tensor begins at a multiple of its element size. Readers that map the file need that.
/// Tensors whose length depends on the values of their weight come last.
class StoredWeightWriter {
 public:
  /// `others` are tensors that are not weights of the model. write_other() fills them.
  StoredWeightWriter(const std::filesystem::path& path, const std::vector<StoredWeight>& weights,
                     std::vector<SafetensorsWriter::Spec> others,
                     std::map<std::string, std::string> metadata);
  /// Writes all parts of the weight with index `weight`. `desc` must include the nested_offset.
  /// Returns the number of bytes in its tensors.
  std::uint64_t write(std::size_t weight, const WeightDesc& desc, const WeightParts& parts);
  /// Writes bytes of a dense weight, beginning at its byte `offset`.
  void write_dense(std::size_t weight, std::uint64_t offset, std::span<const std::byte> bytes);
  void write_other(std::size_t other, std::uint64_t offset, std::span<const std::byte> bytes);
  void commit();

 private:
  struct Part {
    std::span<const std::byte> WeightParts::*bytes = nullptr;  ///< null for the nf4 quant_state
    std::size_t tensor = 0;                                    ///< index of the tensor in the file
  };
  std::vector<StoredWeight> weights_;
  std::vector<std::vector<Part>> parts_;                   ///< the parts of each weight
  std::vector<std::size_t> others_;                        ///< indices in the file
  std::vector<std::pair<std::size_t, std::string>> last_;  ///< tensors that commit() writes
  std::optional<SafetensorsWriter> writer_;
};

}  // namespace bitaxon
