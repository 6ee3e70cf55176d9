// Arrays of numpy, from and to C++.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

namespace bitaxon::python {

/// Token ids [sequences, rows].
using IdArray = nanobind::ndarray<const std::int32_t, nanobind::ndim<2>, nanobind::c_contig,
                                  nanobind::device::cpu>;

/// A numpy array that owns `values`. Nothing is copied.
template <class T>
nanobind::ndarray<nanobind::numpy, T> to_array(std::vector<T> values,
                                               std::initializer_list<std::size_t> shape) {
  auto held = std::make_unique<std::vector<T>>(std::move(values));
  T* data = held->data();
  nanobind::capsule owner(held.get(),
                          [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  static_cast<void>(held.release());
  return nanobind::ndarray<nanobind::numpy, T>(data, shape, owner);
}

}  // namespace bitaxon::python
