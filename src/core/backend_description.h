// What a backend can tell without an open device. So a model's memory need is known before anything
// is loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
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

/// A backend on one device, as it was when the description was made. A description may outlive the
/// backend.
class BackendDescription {
 public:
  BackendDescription() = default;
  BackendDescription(const BackendDescription&) = delete;
  BackendDescription& operator=(const BackendDescription&) = delete;
  virtual ~BackendDescription() = default;

  /// The kinds of memory. Weights, state and activations lie in the first kind, and the host's own
  /// data in the last. A backend with one kind of memory has them all in that kind.
  virtual std::vector<MemoryKind> memory() const = 0;
  /// Whether the backend computes exactly whatever precision is asked for.
  virtual bool always_exact() const { return false; }

  /// The weight as Backend::pack would make it, without contents or memory.
  virtual std::shared_ptr<const Weight> describe(const WeightDesc& desc) const = 0;
  /// Bytes of scratch that the node needs. A plan places them in the arena.
  virtual std::size_t workspace(const NodeView& node) const = 0;
  /// Bytes that buffers of these sizes take together when they are allocated in this order.
  virtual std::uint64_t allocated_bytes(std::span<const std::uint64_t> sizes) const {
    return std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
  }

  /// The largest buffer: one weight, one state tensor, or one arena.
  virtual std::uint64_t max_buffer_bytes() const { return UINT64_MAX; }
  /// What else makes a weight, a state tensor or a plan too large for the device, in a few words.
  /// Empty: nothing.
  virtual std::string problem_of(const WeightDesc&) const { return {}; }
  virtual std::string problem_of(const StateTensor&) const { return {}; }
  virtual std::string problem_of(const Plan&) const { return {}; }
};

}  // namespace bitaxon
