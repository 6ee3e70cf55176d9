// The memory of all states of a model: several slots with one layout.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bitaxon/model_spec.h"
#include "core/backend.h"
#include "core/state_layout.h"

namespace bitaxon {

/// The indices of a block's state tensors in the layout. -1 for a tensor that the block lacks.
struct BlockState {
  std::int32_t keys = -1;
  std::int32_t values = -1;
  std::int32_t conv_tail = -1;
  std::int32_t h = -1;
};

/// The index of each state tensor in the layout.
struct StateIndex {
  std::vector<BlockState> blocks;
  std::int32_t seen = -1;
  std::int32_t next_token = -1;
};

struct StatePoolOptions {
  std::int32_t n_slots = 1;
  int run_ahead = 2;  ///< steps that a state can take back
  DType kv_dtype = DType::f32;
  std::uint64_t fingerprint = 0;  ///< the model's fingerprint
};

/// Allocates the state tensors and lends their slots to states.
class StatePool {
 public:
  StatePool(const ModelSpec& spec, std::shared_ptr<Backend> backend,
            const StatePoolOptions& options);

  const StateLayout& layout() const { return *layout_; }
  const std::shared_ptr<const StateLayout>& shared_layout() const { return layout_; }
  const StateIndex& index() const { return index_; }
  /// One buffer for each tensor of the layout.
  const std::vector<Buffer>& buffers() const { return buffers_; }
  const Buffer& buffer(std::size_t tensor) const { return buffers_[tensor]; }
  Backend& backend() const { return *backend_; }
  const StatePoolOptions& options() const { return options_; }
  std::int64_t max_seq_len() const { return max_seq_len_; }
  std::uint32_t n_versions() const { return static_cast<std::uint32_t>(options_.run_ahead) + 1; }

  /// Takes a free slot. Throws Error(invalid_argument) if all slots are taken.
  std::int32_t take_slot();
  void give_back(std::int32_t slot) noexcept { free_.push_back(slot); }

 private:
  std::shared_ptr<Backend> backend_;  // first, so that it outlives the buffers
  StatePoolOptions options_;
  std::int64_t max_seq_len_;
  StateIndex index_;  // before layout_, whose initializer fills it in
  std::shared_ptr<const StateLayout> layout_;
  std::vector<Buffer> buffers_;
  std::vector<std::int32_t> free_;
};

/// The layout of a model's state, which StatePool allocates. Fills in `index`.
StateLayout state_layout(const ModelSpec& spec, const StatePoolOptions& options, StateIndex& index);

}  // namespace bitaxon
