// Chooses the experts for the rows of a case. The cases of moe_swiglu and of moe_down use this
// file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "cases/op_case.h"

namespace bitaxon::test {

enum class Routing : std::uint8_t {
  random,      ///< every row has random distinct experts
  one_expert,  ///< the first slot of every row has the last expert
  some_empty,  ///< two of every three experts get no rows
};

/// Chooses experts and returns them as i32 [valid rows, top_k]. The experts of a row are distinct
/// and in random order.
inline std::vector<std::int32_t> routed(OpProblem& p, Routing routing, std::int64_t n_experts,
                                        std::int64_t top_k) {
  std::vector<std::int32_t> experts;
  for (std::int64_t r = 0; r < p.valid_rows(RowSpace::rows); ++r) {
    std::vector<std::int32_t> order(static_cast<std::size_t>(n_experts));
    std::iota(order.begin(), order.end(), 0);
    if (routing == Routing::some_empty)
      std::erase_if(order, [](std::int32_t e) { return e % 3 != 1; });
    for (std::size_t i = order.size() - 1; i > 0; --i)
      std::swap(
          order[i],
          order[static_cast<std::size_t>(p.random().below(static_cast<std::int64_t>(i) + 1))]);
    if (routing == Routing::one_expert)
      std::iter_swap(order.begin(),
                     std::ranges::find(order, static_cast<std::int32_t>(n_experts) - 1));
    experts.insert(experts.end(), order.begin(), order.begin() + top_k);
  }
  return experts;
}

}  // namespace bitaxon::test
