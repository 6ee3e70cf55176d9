// Fine-tuning: a LoRA or DoRA adapter of a model is trained on examples.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/export.h"

namespace bitaxon {

/// How an adapter changes a linear layer.
enum class AdapterKind : std::uint8_t {
  lora,  ///< y = W x + scale * B^T A^T x
  dora,  ///< y = (m / n) * (W x + scale * B^T A^T x), n: the norms of the rows of the changed W
};

/// Which linear layers get an adapter, and of which size.
/// Source  Hu et al. 2021, "LoRA"; Liu et al. 2024, "DoRA", section 4.3 (n is constant in gradients).
struct AdapterSettings {
  AdapterKind kind = AdapterKind::dora;
  std::int64_t rank = 8;
  double scale = 20;   ///< factor of the adapter's product
  double dropout = 0;  ///< share of the adapter's inputs that are set to 0; 0 <= dropout < 1
  /// The last components of the names of layers, such as "q_proj". Empty: every layer that the family
  /// adapts by default.
  std::vector<std::string> targets = {};
  std::optional<std::int64_t> last_blocks = {};  ///< only the last blocks; empty for all blocks
};

enum class Objective : std::uint8_t { sft, orpo };

/// Where beta of ORPO stands.
enum class OrpoPenalty : std::uint8_t {
  inside,   ///< -log sigmoid(beta * log odds ratio), as Bit-Axon documents
  outside,  ///< -beta * log sigmoid(log odds ratio), as in the paper
};

enum class LearningRateSchedule : std::uint8_t { cosine, linear, constant };

/// AdamW with a linear warmup. A step is one update of the parameters.
/// Source  Loshchilov & Hutter 2017, "Decoupled weight decay regularization".
struct OptimizerSettings {
  double learning_rate = 1e-4;  ///< the peak
  double min_learning_rate = 0;
  LearningRateSchedule schedule = LearningRateSchedule::cosine;
  std::int64_t warmup_steps = 100;
  std::int64_t max_steps = 10'000;  ///< the step at which the schedule reaches its end
  double weight_decay = 0.01;
  double max_grad_norm = 1;  ///< gradients with a larger norm are scaled down to it
  bool bias_correction = false;
};

/// The learning rate of the update that follows `n_done` updates.
BX_API double learning_rate_at(const OptimizerSettings& settings, std::int64_t n_done);

}  // namespace bitaxon
