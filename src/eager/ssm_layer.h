// A selective state-space layer on arrays.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "bitaxon/ops.h"
#include "eager/row_layer.h"

namespace bitaxon {

struct SsmWeights {
  WeightHandle in_proj;      ///< [1, 2E, D]
  WeightHandle conv_weight;  ///< [1, E, K]
  WeightHandle conv_bias;    ///< [1, 1, E], or null
  WeightHandle x_proj;       ///< [1, 2N + 1, E]
  WeightHandle dt_weight;    ///< [1, E, 1]
  WeightHandle dt_bias;      ///< [1, 1, E]
  WeightHandle a_log;        ///< [1, E, N]
  WeightHandle skip;         ///< [1, 1, E]
  WeightHandle out_proj;     ///< [1, D, E]
};

/// The state of B sequences: tail [B, K-1, E] and h [B, E, N]. One of them may be empty: zeros.
struct SsmState {
  std::vector<float> tail;
  std::vector<float> h;
};

/// y = out_proj @ scan(conv(in_proj @ x)), see ssm_in and selective_scan of bitaxon/ops.h. run() may
/// be called from several threads.
class SsmLayer {
 public:
  /// Throws Error(invalid_argument) if the shapes of the weights do not fit each other.
  SsmLayer(std::shared_ptr<EagerDevice> device, SsmWeights weights, TimeStepClip clip);

  /// Continues n_sequences sequences with n_rows rows each; x [n_sequences, n_rows, D]. Without a
  /// state, the sequences begin. Returns y [n_sequences, n_rows, D] and sets `state` to the state
  /// after the last row. Throws Error(invalid_argument) if a size does not fit.
  std::vector<float> run(std::int64_t n_sequences, std::int64_t n_rows, std::span<const float> x,
                         std::optional<SsmState>& state);

 private:
  /// Sequences [first, first + n), at most kMaxSegments.
  void run_group(std::size_t first, std::size_t n, std::size_t n_rows, std::span<const float> x,
                 std::span<float> y, bool continued, SsmState& state);
  void read_states(std::size_t first, std::size_t n, SsmState& state);
  void write_states(std::size_t first, std::size_t n, const SsmState& state);
  void make_session(std::size_t n_slots);
  std::vector<Tensor> record(const EagerSession::Context& c) const;

  std::shared_ptr<EagerDevice> device_;
  SsmWeights weights_;
  TimeStepClip clip_;
  std::size_t d_model_, d_inner_, d_state_, n_tail_;
  std::size_t n_slots_ = 0;
  std::unique_ptr<EagerSession> session_;
  std::int32_t tail_ = 0, h_ = 0;
};

}  // namespace bitaxon
