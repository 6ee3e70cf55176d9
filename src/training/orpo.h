// The loss of ORPO for a pair of texts, and its gradients. Source: Hong et al. 2024, "ORPO", section 4.
#pragma once

#include "bitaxon/train.h"

namespace bitaxon {

struct OrpoTerms {
  double log_odds_ratio = 0;
  double penalty = 0;
  double d_chosen = 0;    ///< gradient of the penalty by `chosen`
  double d_rejected = 0;  ///< gradient of the penalty by `rejected`
};

/// The penalty of a pair. `chosen` and `rejected` are mean log-probabilities of a token of each
/// answer. Values above -1e-15 count as -1e-15, because the odds of a certain answer are infinite.
///   log_odds_ratio = (c - r) - (log(1 - e^c) - log(1 - e^r))
///   penalty = -log sigmoid(beta * log_odds_ratio), or -beta * log sigmoid(log_odds_ratio)
OrpoTerms orpo_terms(double chosen, double rejected, double beta, OrpoPenalty form);

}  // namespace bitaxon
