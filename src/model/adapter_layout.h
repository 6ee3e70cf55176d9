// The names and shapes of an adapter's tensors, as mlx-lm and PEFT write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "formats/safetensors.h"

namespace bitaxon {

/// The program that names the tensors of an adapter.
enum class AdapterLayout : std::uint8_t { mlx, peft };

/// The layout of an adapter, which the names of its tensors tell. Throws Error(unsupported) for the
/// layouts of other programs, and Error(format) for a mixture.
AdapterLayout layout_of_adapter(const Checkpoint& file);

/// The layer that a tensor of an adapter belongs to. `path` is empty if the tensor's name has none
/// of the known forms.
struct AdaptedLayer {
  std::string path;        ///< the tensor's name without its end
  std::string in_model;    ///< the name of the layer in the model
  bool is_frozen = false;  ///< the tensor is a copy of a tensor of the base
};
AdaptedLayer layer_adapted_by(std::string_view tensor, AdapterLayout layout);

/// One of the two factors of a product.
struct AdapterFactor {
  std::string_view end;  ///< the end of the tensor's name, behind the layer's path
  bool rank_is_first;    ///< the shape is [rank, n], else [n, rank]; a stack has one more extent
};
/// The tensors of an adapted layer. W' = W + scale * up * down.
struct AdapterForm {
  AdapterFactor down;           ///< n is the number of columns of the weight
  AdapterFactor up;             ///< n is the number of rows of the weight
  std::string_view magnitudes;  ///< the end of the name of DoRA's tensor
  bool has_dora = true;         ///< false if DoRA of such layers is not read
};

/// The kind of weight that a layer has.
enum class AdaptedKind : std::uint8_t { matrix, stack, embedding };
/// The form of a layer's tensors. A stack of PEFT is adapted matrix by matrix.
const AdapterForm& form_of(AdapterLayout layout, AdaptedKind kind);

}  // namespace bitaxon
