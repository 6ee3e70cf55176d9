// Makes tensors for test checkpoints, and reads tensors as numbers.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/half.h"
#include "formats/safetensors.h"

namespace bitaxon {

struct StoredTensor {
  std::string name;
  StoredType dtype = DType::f32;
  StoredShape shape;
  std::string bytes;
};

/// A tensor whose bytes are all zero.
inline StoredTensor zeros(std::string name, StoredType dtype, StoredShape shape) {
  const std::size_t size = bytes_of(dtype, shape).value();
  return {std::move(name), dtype, std::move(shape), std::string(size, '\0')};
}

/// A tensor with the elements `values`. The size of T must be the size of `dtype`.
template <typename T>
StoredTensor stored(std::string name, DType dtype, Shape shape, const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return {std::move(name), dtype, shape, std::move(bytes)};
}

inline StoredTensor stored_text(std::string name, std::string text) {
  const Shape shape{static_cast<std::int64_t>(text.size())};
  return {std::move(name), DType::u8, shape, std::move(text)};
}

inline void write_checkpoint(const std::filesystem::path& path,
                             const std::vector<StoredTensor>& tensors) {
  std::vector<SafetensorsWriter::Spec> specs;
  for (const auto& tensor : tensors) specs.push_back({tensor.name, tensor.dtype, tensor.shape});
  SafetensorsWriter writer(path, std::move(specs));
  for (const auto& tensor : tensors) writer.write(std::as_bytes(std::span(tensor.bytes)));
  writer.commit();
}

/// The bytes of the tensor `name`. Throws if the checkpoint has no such tensor.
inline std::vector<std::byte> bytes_of(const Checkpoint& checkpoint, std::string_view name) {
  const TensorInfo* tensor = checkpoint.find(name);
  if (tensor == nullptr) throw std::out_of_range("no tensor " + std::string(name));
  std::vector<std::byte> bytes(static_cast<std::size_t>(tensor->size_bytes));
  checkpoint.read(*tensor, bytes);
  return bytes;
}

/// The elements of a float tensor, widened to float32.
inline std::vector<float> floats_of(const Checkpoint& checkpoint, std::string_view name) {
  const std::vector<std::byte> bytes = bytes_of(checkpoint, name);
  const DType dtype = checkpoint.find(name)->dtype.dtype().value();
  std::vector<float> values(bytes.size() / size_of(dtype));
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint32_t bits = 0;
    // A float type has at most four bytes, but the compiler does not know this.
    std::memcpy(&bits, bytes.data() + i * size_of(dtype), std::min(size_of(dtype), sizeof(bits)));
    values[i] = dtype == DType::f32   ? std::bit_cast<float>(bits)
                : dtype == DType::f16 ? f16_to_f32(static_cast<std::uint16_t>(bits))
                                      : bf16_to_f32(static_cast<std::uint16_t>(bits));
  }
  return values;
}

}  // namespace bitaxon
