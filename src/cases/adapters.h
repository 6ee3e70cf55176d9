// An adapter in the vectors of all parameters and all norms, for cases.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "bitaxon/training_ops.h"
#include "cases/errors.h"

namespace bitaxon::test {

struct AdapterSpec {
  std::int64_t n_in = 40;
  std::int64_t n_out = 24;
  std::int64_t rank = 4;
  bool dora = true;
  float scale = 20;
  bool has_zeros = false;  ///< some elements of m and of the norms are 0
};

/// An adapter and its values. The vectors have other elements around the adapter, which are NaN.
struct CaseAdapter {
  AdapterSpec spec;
  AdapterPlace place;
  std::vector<float> parameters;
  std::vector<float> norms;

  float a(std::int64_t i, std::int64_t k) const { return at(place.a + i * spec.rank + k); }
  float b(std::int64_t k, std::int64_t o) const { return at(place.b + k * spec.n_out + o); }
  float m(std::int64_t o) const { return at(place.m + o); }
  float n(std::int64_t o) const { return norms[place.norm + static_cast<std::size_t>(o)]; }

  /// m / n, which is 1 for LoRA and where n is 0.
  Rounded factor(std::int64_t o) const {
    return !spec.dora || n(o) == 0 ? Rounded{1} : Rounded{m(o)} / Rounded{n(o)};
  }

 private:
  float at(std::int64_t index) const { return parameters[static_cast<std::size_t>(index)]; }
};

inline CaseAdapter make_adapter(Random& random, const AdapterSpec& spec) {
  CaseAdapter made;
  made.spec = spec;
  const auto word = [](std::int64_t n) { return static_cast<std::uint32_t>(n); };
  made.place = {.a = 7,
                .b = word(7 + spec.n_in * spec.rank + 3),
                .m = word(10 + spec.rank * (spec.n_in + spec.n_out)),
                .norm = 5,
                .rank = word(spec.rank),
                .is_dora = spec.dora ? 1U : 0U,
                .scale = spec.scale};
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  made.parameters.assign(made.place.m + static_cast<std::size_t>(spec.n_out) + 2, kNan);
  made.norms.assign(static_cast<std::size_t>(spec.n_out) + 9, kNan);
  const auto fill = [&](std::uint32_t first, std::int64_t n, double low, double high) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i)
      made.parameters[first + i] = static_cast<float>(random.uniform(low, high));
  };
  const double spread = 1 / std::sqrt(static_cast<double>(spec.n_in));
  fill(made.place.a, spec.n_in * spec.rank, -spread, spread);
  fill(made.place.b, spec.rank * spec.n_out, -0.03, 0.03);
  if (!spec.dora) return made;
  fill(made.place.m, spec.n_out, 0.5, 1.5);
  for (std::size_t o = 0; o < static_cast<std::size_t>(spec.n_out); ++o) {
    made.norms[made.place.norm + o] = static_cast<float>(random.uniform(0.5, 1.5));
    if (spec.has_zeros && o % 5 == 1) made.norms[made.place.norm + o] = 0;
    if (spec.has_zeros && o % 5 == 3) made.parameters[made.place.m + o] = 0;
  }
  return made;
}

/// Row r of an input.
inline std::vector<Rounded> rounded_row(const OpProblem& p, std::size_t x, std::int64_t r) {
  std::vector<Rounded> row;
  for (const float value : input_row(p, x, r)) row.push_back({value});
  return row;
}

/// u = x A
inline std::vector<Rounded> inner_row(const CaseAdapter& adapter, const std::vector<Rounded>& x) {
  std::vector<Rounded> u;
  for (std::int64_t k = 0; k < adapter.spec.rank; ++k) {
    Sum sum;
    for (std::size_t i = 0; i < x.size(); ++i)
      sum.add(x[i] * Rounded{adapter.a(static_cast<std::int64_t>(i), k)});
    u.push_back(sum.result());
  }
  return u;
}

/// o = base + scale * u B, for one output
inline Rounded outer(const CaseAdapter& adapter, const std::vector<Rounded>& u, float base,
                     std::int64_t o) {
  Sum sum;
  for (std::size_t k = 0; k < u.size(); ++k)
    sum.add(u[k] * Rounded{adapter.b(static_cast<std::int64_t>(k), o)});
  return Rounded{base} + rounded(Rounded{adapter.spec.scale} * sum.result());
}

}  // namespace bitaxon::test
