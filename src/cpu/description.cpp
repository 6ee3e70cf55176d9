#include "cpu/description.h"

#include "cpu/kernel.h"
#include "platform/host_memory.h"

namespace bitaxon::cpu {

CpuDescription::CpuDescription(int n_threads, bool plain, bool always_exact)
    : memory_{{.name = "system memory", .available_bytes = available_memory_bytes()}},
      n_threads_(n_threads),
      plain_(plain),
      always_exact_(always_exact) {}

std::shared_ptr<const Weight> CpuDescription::describe(const WeightDesc& desc) const {
  auto packed = std::make_shared<PackedWeight>();
  packed->desc = desc;
  return make_weight(std::move(packed), plain_);
}

std::size_t CpuDescription::workspace(const NodeView& node) const {
  return kernel_of(op_of(node.node()), !plain_).workspace(node, n_threads_);
}

std::shared_ptr<const Weight> make_weight(std::shared_ptr<const PackedWeight> packed, bool plain) {
  const WeightDesc& desc = packed->desc;
  auto weight = std::make_shared<Weight>();
  weight->name = desc.name;
  weight->shape = {desc.n_matrices, desc.rows, desc.cols};
  weight->format = desc.format_name();
  weight->stored_bytes = desc.stored_bytes();
  weight->packed_bytes = packed_bytes(desc, plain);
  weight->packed = std::move(packed);
  return weight;
}

}  // namespace bitaxon::cpu
