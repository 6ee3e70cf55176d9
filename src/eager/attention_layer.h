// Attention over a sliding window, on arrays.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bitaxon/ops.h"
#include "eager/row_layer.h"

namespace bitaxon {

struct AttentionWeights {
  WeightHandle q, k, v, o;  ///< [1, D, D] each
};

/// Keys and values of B sequences, [B, H, n_rows, d] each.
struct KeysAndValues {
  std::int64_t n_rows = 0;
  std::span<const float> keys, values;
};

/// y = o @ attention(q @ x, keys, values), see attn_in and attention of bitaxon/ops.h. run() may be
/// called from several threads.
class AttentionLayer {
 public:
  /// Throws Error(invalid_argument) if the shapes of the weights do not fit each other.
  AttentionLayer(std::shared_ptr<EagerDevice> device, AttentionWeights weights, AttentionForm form);

  struct Result {
    std::vector<float> y;             ///< [B, n_rows, D]
    std::vector<float> keys, values;  ///< of the new rows, [B, H, n_rows, d]
  };
  /// Continues n_sequences sequences with n_rows rows each; x [n_sequences, n_rows, D]. `cached`
  /// holds the keys and values of the rows before. Throws Error(invalid_argument) if a size does
  /// not fit.
  Result run(std::int64_t n_sequences, std::int64_t n_rows, std::span<const float> x,
             const KeysAndValues& cached);

 private:
  struct Call;
  void run_group(const Call& call, std::size_t first, std::size_t n);
  void make_session(std::size_t n_slots, std::size_t n_rows);
  std::vector<Tensor> record(const EagerSession::Context& c) const;

  std::shared_ptr<EagerDevice> device_;
  AttentionWeights weights_;
  AttentionForm form_;
  std::size_t d_model_, n_heads_;
  std::size_t n_slots_ = 0, room_ = 0;  ///< the sequences, and the rows of each, of the session
  std::unique_ptr<EagerSession> session_;
  std::int32_t keys_ = 0, values_ = 0;
};

}  // namespace bitaxon
