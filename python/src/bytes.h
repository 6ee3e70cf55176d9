// The elements of numpy arrays as bytes.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace bitaxon::python {

/// The elements of an array in C order, as bytes.
using Bytes = nanobind::ndarray<const std::uint8_t, nanobind::ndim<1>, nanobind::c_contig,
                                nanobind::device::cpu>;

inline std::span<const std::byte> bytes_of(const Bytes& array) {
  return std::as_bytes(std::span(array.data(), array.size()));
}

}  // namespace bitaxon::python
