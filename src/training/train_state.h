// The state tensors of training: the recurrent state and the KV cache of the sequences in a pass, the
// rows that the backward pass begins with, and the vectors of parameters.
#pragma once

#include <cstdint>
#include <vector>

#include "bitaxon/dtype.h"
#include "bitaxon/model_spec.h"
#include "core/state_layout.h"
#include "model/adapter_set.h"
#include "model/state_pool.h"

namespace bitaxon {

/// The largest pass: sequences whose forward and backward steps run together.
struct PassSizes {
  std::int64_t n_rows = 0;   ///< rows of all sequences; a multiple of the rows of a step
  std::int64_t n_steps = 0;  ///< steps of the forward pass
  std::int64_t n_pages = 0;  ///< pages of the KV cache
};
/// The sizes of a pass that has room for `n_sequences` sequences of `max_tokens` tokens.
PassSizes pass_sizes(std::int64_t max_tokens, std::int64_t n_sequences, std::int64_t step_rows);

/// Indices of state tensors in the layout; -1 for a tensor that a block lacks.
struct TrainBlock {
  BlockState forward;
  std::int32_t conv_carry = -1, h_carry = -1;  ///< gradients that go to the step before
  std::int32_t g_keys = -1, g_values = -1;
  std::int32_t input = -1;   ///< store: rows in front of the block
  std::int32_t middle = -1;  ///< store: rows between mixer and feed-forward part
};

/// An activation that the backward pass reads.
struct KeptActivation {
  std::int32_t number = 0;  ///< counts the activations that the nodes of a part write
  std::int32_t store = -1;
};

struct TrainIndex {
  std::vector<TrainBlock> blocks;
  /// The kept activations of each part of the model. Empty if the backward pass computes activations
  /// again. The parts are: the one in front of the blocks, the two halves of each block, and the one
  /// behind the blocks.
  std::vector<std::vector<KeptActivation>> kept;
  std::int32_t seen = -1, next_token = -1;
  std::int32_t last = -1;     ///< store: rows behind the last block
  std::int32_t head = -1;     ///< store: rows in front of the head
  std::int32_t g_head = -1;   ///< store: their gradients
  std::int32_t factors = -1;  ///< of cross_entropy
  std::int32_t log_probs = -1;
  std::int32_t masks = -1;  ///< store: given masks of dropout, for all adapted layers
  std::int32_t parameters = -1, norms = -1, gradients = -1, first_moment = -1, second_moment = -1;
  std::int32_t squares = -1;  ///< the sum of squares of the gradients
  std::int32_t numbers = -1;  ///< of adamw
};

/// The layout of all tensors. Fills in `index`. `has_masks`: whether masks of dropout are given.
StateLayout train_layout(const ModelSpec& spec, const AdapterSet& adapter, const PassSizes& sizes,
                         DType kv_dtype, bool has_masks, TrainIndex& index);

}  // namespace bitaxon
