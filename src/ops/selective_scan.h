#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "bitaxon/ops.h"
#include "core/node_view.h"

namespace bitaxon {

struct SelectiveScanParams {
  // Bounds of the time step. The defaults change nothing, because softplus is never negative.
  float dt_min = 0;
  float dt_max = std::numeric_limits<float>::infinity();
  float eps = 0;  ///< epsilon of the norms of B and C; unused without norms
};

namespace selective_scan_operand {
enum : int { u, params, dt, z, dt_weight, dt_bias, a_log, skip, b_norm, c_norm, h, y };
}

/// Checks the arguments that selective_scan and its gradient share. Returns R.
std::int64_t check_scan(std::string_view op, const Tensor& u, const Tensor& params,
                        const Tensor& dt, const Tensor& z, const SelectiveScanWeights& weights,
                        const SelectiveScanOptions& options, const Tensor& h);
SelectiveScanParams scan_params(const SelectiveScanWeights& weights,
                                const SelectiveScanOptions& options);

/// The columns of a row of `params`. N is the number of states of a channel.
struct ScanColumns {
  std::int64_t width = 0;
  std::int64_t first = 0;  ///< B begins here, and C begins N columns later
  /// The column of r, from which a time step of rank 1 is computed. -1 if there is a dt.
  std::int64_t rate = -1;

  explicit ScanColumns(const NodeView& node) {
    using namespace selective_scan_operand;
    const std::int64_t n_used = 2 * node.shape(a_log)[2];
    width = node.shape(params)[1];
    first = node.has(dt) ? width - n_used : 0;
    rate = node.has(dt) ? -1 : n_used;
  }
};

}  // namespace bitaxon
