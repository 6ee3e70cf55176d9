// One update of AdamW for one element. T is float in the kernel.
//   g = clip * gradient;  p = p * (1 - decay)
//   m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g^2
//   p = p - rate * (m / c1) / (sqrt(v / c2) + eps)
#pragma once

#include <cmath>

#include "ops/adamw.h"

namespace bitaxon::cpu::formulas {

/// numbers  [adamw_number::count]
template <class T>
void adamw(const T* numbers, T gradient, T& parameter, T& first, T& second) {
  using namespace adamw_number;
  const auto number = [&](int index) { return static_cast<double>(numbers[index]); };
  const double g = number(clip) * static_cast<double>(gradient);
  const double m = number(b1) * static_cast<double>(first) + (1 - number(b1)) * g;
  const double v = number(b2) * static_cast<double>(second) + (1 - number(b2)) * g * g;
  first = static_cast<T>(m);
  second = static_cast<T>(v);
  const double step = number(rate) * (m / number(c1)) / (std::sqrt(v / number(c2)) + number(eps));
  parameter = static_cast<T>(static_cast<double>(parameter) * (1 - number(decay)) - step);
}

}  // namespace bitaxon::cpu::formulas
