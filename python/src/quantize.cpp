// Quantizes and decodes arrays in the layout of MLX. bit_axon/quantization/nf4.py checks what users
// pass.
#include "formats/quantize.h"

#include <nanobind/stl/string.h>

#include "arrays.h"
#include "bitaxon/error.h"
#include "bytes.h"
#include "formats/float_bytes.h"
#include "parts.h"
#include "waiting.h"

namespace nb = nanobind;

namespace bitaxon::python {
namespace {

nb::ndarray<nb::numpy, std::uint8_t> to_numpy(std::span<const std::byte> bytes) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return to_array(std::vector<std::uint8_t>(first, first + bytes.size()), {bytes.size()});
}

WeightDesc dense_desc(const std::string& dtype, std::int64_t rows, std::int64_t cols) {
  WeightDesc desc;
  desc.name = "weight";
  desc.rows = rows;
  desc.cols = cols;
  const auto named = dtype_named(dtype);
  if (!named || !is_float(*named))
    throw Error(ErrorKind::invalid_argument, "dtype: expected F32, F16 or BF16, got " + dtype);
  desc.dtype = desc.bias_dtype = *named;
  return desc;
}

/// The work in the background has copies of its arguments.
std::vector<std::byte> copy_of(const Bytes& array) {
  const Unlocked unlocked;
  const auto bytes = bytes_of(array);
  return {bytes.begin(), bytes.end()};
}

/// The codes, the scales and the biases of a matrix [rows, cols], as bytes.
nb::tuple quantize_affine(const Bytes& data, const std::string& dtype, std::int64_t rows,
                          std::int64_t cols, std::int64_t group_size, int bits) {
  const WeightDesc dense = dense_desc(dtype, rows, cols);
  if (data.size() != static_cast<std::size_t>(rows * cols) * size_of(dense.dtype))
    throw Error(ErrorKind::invalid_argument, "weight: the data do not have the given shape");
  const LoadedWeight quantized = in_background(
      [dense,
       how = Quantization{.format = WeightFormat::affine, .group_size = group_size, .bits = bits},
       bytes = copy_of(data)] {
        LoadedWeight out;
        quantize(
            dense, how,
            [&](std::int64_t first, std::span<float> to) {
              for (std::size_t i = 0; i < to.size(); ++i)
                to[i] = load_float(dense.dtype, bytes.data(), first + static_cast<std::int64_t>(i));
            },
            out);
        return out;
      });
  return nb::make_tuple(to_numpy(quantized.parts.data), to_numpy(quantized.parts.scales),
                        to_numpy(quantized.parts.biases));
}

/// The values of a quantized matrix [rows, cols]: scale * code + bias, rounded once.
nb::ndarray<nb::numpy, float> dequantize_affine(const Bytes& data, const Bytes& scales,
                                                const Bytes& biases, const std::string& dtype,
                                                std::int64_t rows, std::int64_t cols,
                                                std::int64_t group_size, int bits) {
  WeightDesc desc = dense_desc(dtype, rows, cols);
  desc.format = WeightFormat::affine;
  desc.group_size = group_size;
  desc.bits = bits;
  const PartBytes expected = part_bytes(desc);
  if (data.size() != expected.data || scales.size() != expected.scales ||
      biases.size() != expected.biases)
    throw Error(ErrorKind::invalid_argument, "the codes, scales and biases do not fit each other");
  std::vector<float> values =
      in_background([desc, codes = copy_of(data), scale = copy_of(scales), bias = copy_of(biases)] {
        std::vector<float> out(static_cast<std::size_t>(desc.rows * desc.cols));
        decode(desc, {.data = codes, .scales = scale, .biases = bias}, 0, out);
        return out;
      });
  const std::size_t n = values.size();
  return to_array(std::move(values), {n});
}

}  // namespace

void add_quantize(nb::module_& module) {
  module.def("quantize_affine", quantize_affine, nb::arg("data"), nb::arg("dtype"), nb::arg("rows"),
             nb::arg("cols"), nb::arg("group_size"), nb::arg("bits"));
  module.def("dequantize_affine", dequantize_affine, nb::arg("data"), nb::arg("scales"),
             nb::arg("biases"), nb::arg("dtype"), nb::arg("rows"), nb::arg("cols"),
             nb::arg("group_size"), nb::arg("bits"));
}

}  // namespace bitaxon::python
