#include "training/orpo.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace bitaxon {
namespace {

/// log(1 - e^x) for x < 0. Source: Maechler 2012, "Accurately computing log(1 - exp(-|a|))".
double log1mexp(double x) {
  return x > -std::numbers::ln2 ? std::log(-std::expm1(x)) : std::log1p(-std::exp(x));
}

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

double sigmoid(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

}  // namespace

OrpoTerms orpo_terms(double chosen, double rejected, double beta, OrpoPenalty form) {
  constexpr double kMost = -1e-15;
  const double c = std::min(chosen, kMost);
  const double r = std::min(rejected, kMost);
  OrpoTerms terms;
  terms.log_odds_ratio = (c - r) - (log1mexp(c) - log1mexp(r));
  const bool inside = form == OrpoPenalty::inside;
  const double factor = inside ? beta : 1;
  const double weight = inside ? 1 : beta;
  terms.penalty = weight * softplus(-factor * terms.log_odds_ratio);
  // The penalty's gradient by the log odds ratio is -slope.
  const double slope = weight * factor * sigmoid(-factor * terms.log_odds_ratio);
  terms.d_chosen = slope / std::expm1(c);
  terms.d_rejected = -slope / std::expm1(r);
  return terms;
}

}  // namespace bitaxon
