// The tensors in which a weight is stored, by name and shape: what weight_source.h finds again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bitaxon/shape.h"
#include "formats/safetensors.h"
#include "formats/weight_format.h"

namespace bitaxon {

/// A weight that is to be written.
struct StoredWeight {
  std::string name;       ///< "layer_0.ssm.in_proj.weight"
  Shape shape;            ///< logical: [cols], [rows, cols], [n_matrices, rows, cols]
  bool is_stack = false;  ///< experts: upstream calls their affine biases "biases_quant"
  WeightDesc desc;        ///< nested_offset may still be unknown
};

/// The tensors that hold it.
std::vector<std::string> tensor_names(const StoredWeight& weight);

/// Writes weights part by part as one safetensors file. Tensors of wide elements come first, so
/// that each begins at a multiple of its element's size, which readers that map the file need; last
/// what has its length only when its weight is known.
class StoredWeightWriter {
 public:
  /// `others` are tensors that are no weights of the model, to be filled with write_other().
  StoredWeightWriter(const std::filesystem::path& path, const std::vector<StoredWeight>& weights,
                     std::vector<SafetensorsWriter::Spec> others,
                     std::map<std::string, std::string> metadata);
  /// All parts of weight number `weight`; `desc` has its nested_offset. Returns the bytes that its
  /// tensors take.
  std::uint64_t write(std::size_t weight, const WeightDesc& desc, const WeightParts& parts);
  /// Bytes of a dense weight from byte `offset` on.
  void write_dense(std::size_t weight, std::uint64_t offset, std::span<const std::byte> bytes);
  void write_other(std::size_t other, std::uint64_t offset, std::span<const std::byte> bytes);
  void commit();

 private:
  struct Part {
    std::span<const std::byte> WeightParts::*bytes = nullptr;  ///< null: nf4's description
    std::size_t tensor = 0;                                    ///< number in the file
  };
  std::vector<StoredWeight> weights_;
  std::vector<std::vector<Part>> parts_;                   ///< of each weight
  std::vector<std::size_t> others_;                        ///< numbers in the file
  std::vector<std::pair<std::size_t, std::string>> last_;  ///< what commit() writes into tensors
  std::optional<SafetensorsWriter> writer_;
};

}  // namespace bitaxon
