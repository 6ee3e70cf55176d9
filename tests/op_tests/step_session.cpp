#include "op_tests/step_session.h"

#include <stdexcept>

#include "formats/weight_source.h"
#include "support/tensors.h"

namespace bitaxon::test {

std::shared_ptr<const Weight> packed_weight(Backend& backend, const Checkpoint& file,
                                            const std::string& name, const Shape& shape) {
  // find_weight() takes the shape of the matrix. If the tensor holds codes, its own shape has fewer
  // columns.
  const TensorInfo& info = info_of(file, name);
  const bool coded = info.dtype == DType::u32 || info.dtype == DType::u8;
  const Shape logical = !coded                                   ? Shape(info.shape)
                        : info.shape.rank() == 3 || shape[0] > 1 ? shape
                                                                 : Shape{shape[1], shape[2]};
  auto source = find_weight(file, name, logical, true);
  if (!source) throw std::runtime_error("no weight " + name);
  LoadedWeight loaded;
  read_weight(file, *source, loaded);
  source->desc.n_matrices = shape[0];
  source->desc.rows = shape[1];
  source->desc.cols = shape[2];
  return backend.pack(source->desc, loaded.parts);
}

std::shared_ptr<const Weight> packed_weight(Backend& backend, const Shape& shape,
                                            std::span<const float> values) {
  WeightDesc desc;
  desc.name = "test weight";
  desc.n_matrices = shape[0];
  desc.rows = shape[1];
  desc.cols = shape[2];
  return backend.pack(desc, {.data = std::as_bytes(values)});
}

}  // namespace bitaxon::test
