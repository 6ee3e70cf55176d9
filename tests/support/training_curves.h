// Whole runs against loss curves that an independent program has computed in float64: the bundled
// model, the bundled text, windows of 256 tokens.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "bitaxon/backend.h"
#include "bitaxon/precision.h"

namespace bitaxon::test {

/// The largest differences from a recorded curve.
struct CurveBounds {
  double loss = 0;        ///< of an update
  double held_out = 0;    ///< of the loss on held-out windows
  double parameters = 0;  ///< relative L2 distance of the last parameters
};
inline constexpr CurveBounds kExactCurve{.loss = 2e-5, .held_out = 1e-5, .parameters = 1e-4};
inline constexpr CurveBounds kFastCurve{.loss = 2e-2, .held_out = 5e-3, .parameters = 1};

/// Runs the first `n_updates` updates of a recorded curve, and compares each loss.
void expect_curve(const std::string& name, std::shared_ptr<Backend> backend, Precision precision,
                  std::size_t n_updates, const CurveBounds& bounds);

/// The loss on the held-out windows after the first `n_updates` updates of the recorded run "ref", with
/// a base whose weights are quantized to `format`: "nf4", "mlx", or "" for the weights as they are.
double held_out_loss(const std::string& format, std::shared_ptr<Backend> backend,
                     std::size_t n_updates);

}  // namespace bitaxon::test
