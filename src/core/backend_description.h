// The properties of a backend that are known without an open device. A model's memory need can be
// computed from them before anything is loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/memory.h"
#include "core/node_view.h"

namespace bitaxon {

struct Plan;
struct StateTensor;
struct Weight;
struct WeightDesc;

/// Describes a backend on one device at the moment when the description was made. A description may
/// outlive the backend.
class BackendDescription {
 public:
  BackendDescription() = default;
  BackendDescription(const BackendDescription&) = delete;
  BackendDescription& operator=(const BackendDescription&) = delete;
  virtual ~BackendDescription() = default;

  /// The kinds of memory. Weights, state and activations are in the first kind, and the host's own
  /// data is in the last kind. If there is only one kind, it holds all of them.
  virtual std::vector<MemoryKind> memory() const = 0;
  /// Whether the backend computes exactly whatever precision is asked for.
  virtual bool always_exact() const { return false; }

  /// The weight that Backend::pack would make, without contents or memory.
  virtual std::shared_ptr<const Weight> describe(const WeightDesc& desc) const = 0;
  /// Bytes of scratch that the node needs. A plan places them in the arena.
  virtual std::size_t workspace(const NodeView& node) const = 0;
  /// Bytes of scratch that two nodes need together, if the backend runs them together. `second`
  /// follows `first` in the plan.
  virtual std::optional<std::size_t> joint_workspace(const NodeView&, const NodeView&) const {
    return std::nullopt;
  }
  /// The total bytes that buffers of these sizes take if they are allocated in this order.
  virtual std::uint64_t allocated_bytes(std::span<const std::uint64_t> sizes) const {
    return std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
  }

  /// The size of the largest possible buffer. A weight, a state tensor or an arena is one buffer.
  virtual std::uint64_t max_buffer_bytes() const { return UINT64_MAX; }
  /// Why a weight, a state tensor or a plan is too large for the device although its buffers are
  /// not, in a few words. Empty if the device can hold it.
  virtual std::string problem_of(const WeightDesc&) const { return {}; }
  virtual std::string problem_of(const StateTensor&) const { return {}; }
  virtual std::string problem_of(const Plan&) const { return {}; }
};

}  // namespace bitaxon
