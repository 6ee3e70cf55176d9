// Describes the CPU backend without opening it.
#pragma once

#include <memory>
#include <vector>

#include "core/backend.h"
#include "core/backend_description.h"
#include "cpu/packed_weight.h"

namespace bitaxon::cpu {

class CpuDescription final : public BackendDescription {
 public:
  /// `plain` says that the backend runs plain kernels only.
  CpuDescription(int n_threads, bool plain, bool always_exact);

  std::vector<MemoryKind> memory() const override { return memory_; }
  bool always_exact() const override { return always_exact_; }
  std::shared_ptr<const Weight> describe(const WeightDesc& desc) const override;
  std::size_t workspace(const NodeView& node) const override;

 private:
  std::vector<MemoryKind> memory_;
  int n_threads_;
  bool plain_;
  bool always_exact_;
};

/// Makes the Weight that refers to a packed weight.
std::shared_ptr<const Weight> make_weight(std::shared_ptr<const PackedWeight> packed, bool plain);

}  // namespace bitaxon::cpu
