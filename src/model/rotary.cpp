#include "model/rotary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "bitaxon/error.h"

namespace bitaxon {
namespace {

void check(bool condition, const char* field, const char* expected, double got) {
  if (!condition)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[rotary] {}: expected {}, got {}", field, expected, got));
}

void check(const RotarySpec& spec) {
  check(spec.n_dims >= 2 && spec.n_dims % 2 == 0, "n_dims", "an even number >= 2",
        static_cast<double>(spec.n_dims));
  check(spec.base > 1 && std::isfinite(spec.base), "base", "a number > 1", spec.base);
  if (spec.scaling == RotarySpec::Scaling::none) return;
  check(spec.factor > 0 && std::isfinite(spec.factor), "factor", "a number > 0", spec.factor);
  if (spec.scaling == RotarySpec::Scaling::linear) return;
  check(spec.original_positions >= 1, "original_positions", "a number >= 1",
        static_cast<double>(spec.original_positions));
  check(spec.beta_fast > 0, "beta_fast", "a number > 0", spec.beta_fast);
  check(spec.beta_slow > 0, "beta_slow", "a number > 0", spec.beta_slow);
  check(spec.attention_factor.value_or(1) > 0, "attention_factor", "a number > 0",
        spec.attention_factor.value_or(1));
}

/// YaRN: how much of frequency i stays as it is, from 0 (all of it is divided by the factor) to 1.
class KeptShare {
 public:
  explicit KeptShare(const RotarySpec& spec) {
    low_ = dimension(spec, spec.beta_fast);
    high_ = dimension(spec, spec.beta_slow);
    if (spec.truncate) {
      low_ = std::floor(low_);
      high_ = std::ceil(high_);
    }
    low_ = std::max(low_, 0.0);
    high_ = std::min(high_, static_cast<double>(spec.n_dims - 1));
    if (low_ == high_) high_ += 0.001;  // the ramp must not divide by 0
  }
  double of(std::int64_t i) const {
    return 1 - std::clamp((static_cast<double>(i) - low_) / (high_ - low_), 0.0, 1.0);
  }

 private:
  /// The dimension whose frequency makes `turns` turns in a text of the original length.
  static double dimension(const RotarySpec& spec, double turns) {
    const auto length = static_cast<double>(spec.original_positions);
    return static_cast<double>(spec.n_dims) * std::log(length / (2 * std::numbers::pi * turns)) /
           (2 * std::log(spec.base));
  }

  double low_ = 0, high_ = 0;
};

double attention_factor(const RotarySpec& spec) {
  if (spec.scaling != RotarySpec::Scaling::yarn) return 1;
  if (spec.attention_factor) return *spec.attention_factor;
  const auto scale = [&](double mscale) {
    return spec.factor <= 1 ? 1 : 0.1 * mscale * std::log(spec.factor) + 1;
  };
  // A value of 0 counts as none.
  const double mscale = spec.mscale.value_or(0);
  const double all_dim = spec.mscale_all_dim.value_or(0);
  return mscale != 0 && all_dim != 0 ? scale(mscale) / scale(all_dim) : scale(1);
}

std::vector<double> frequencies(const RotarySpec& spec) {
  std::vector<double> found;
  for (std::int64_t i = 0; i < spec.n_dims / 2; ++i) {
    double frequency =
        std::pow(spec.base, -2 * static_cast<double>(i) / static_cast<double>(spec.n_dims));
    if (spec.scaling == RotarySpec::Scaling::linear) frequency /= spec.factor;
    if (spec.scaling == RotarySpec::Scaling::yarn) {
      const double kept = KeptShare(spec).of(i);
      frequency *= (1 - kept) / spec.factor + kept;
    }
    found.push_back(frequency);
  }
  return found;
}

/// The cosines and sines of position * frequency, one pair for each frequency, times a factor.
std::vector<std::complex<double>> turns(double position, const std::vector<double>& frequencies,
                                        double factor) {
  std::vector<std::complex<double>> found;
  found.reserve(frequencies.size());
  for (const double f : frequencies) found.push_back(std::polar(factor, position * f));
  return found;
}

}  // namespace

std::vector<float> rotary_table(const RotarySpec& spec, std::int64_t n_positions) {
  check(spec);
  const std::vector<double> frequency = frequencies(spec);
  // Cosines and sines are slow, and a long table has millions of them. A turn by a + b is the
  // product of the turns by a and by b, so they are computed for every kBlock-th position, and for
  // the positions of the first block.
  constexpr std::int64_t kBlock = 64;
  std::vector<std::vector<std::complex<double>>> fine;
  for (std::int64_t p = 0; p < std::min(kBlock, n_positions); ++p)
    fine.push_back(turns(static_cast<double>(p), frequency, 1));
  std::vector<float> table(static_cast<std::size_t>(n_positions * spec.n_dims));
  float* out = table.data();
  const double factor = attention_factor(spec);
  for (std::int64_t first = 0; first < n_positions; first += kBlock) {
    const auto coarse = turns(static_cast<double>(first), frequency, factor);
    for (std::int64_t p = first; p < std::min(first + kBlock, n_positions); ++p)
      for (std::size_t i = 0; i < coarse.size(); ++i) {
        const std::complex<double>& by = fine[static_cast<std::size_t>(p - first)][i];
        *out++ = static_cast<float>(coarse[i].real() * by.real() - coarse[i].imag() * by.imag());
        *out++ = static_cast<float>(coarse[i].imag() * by.real() + coarse[i].real() * by.imag());
      }
  }
  return table;
}

std::vector<RotarySpec> rotary_specs(const ModelSpec& spec) {
  std::vector<RotarySpec> found;
  for (const BlockSpec& block : spec.blocks) {
    const auto* attention = std::get_if<AttentionSpec>(&block.mixer);
    if (attention == nullptr || !attention->rotary) continue;
    if (std::ranges::find(found, *attention->rotary) == found.end())
      found.push_back(*attention->rotary);
  }
  return found;
}

WeightDesc rotary_desc(const RotarySpec& spec, std::int64_t n_positions) {
  WeightDesc desc;
  desc.name = "rotary table";
  desc.rows = n_positions;
  desc.cols = spec.n_dims;
  return desc;
}

}  // namespace bitaxon
