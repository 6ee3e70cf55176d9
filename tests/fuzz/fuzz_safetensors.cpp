// Opens any bytes as a safetensors file. Either the file is refused with Error(format), or its
// tensors cover the data without gaps and can be read. Each tensor is also looked up as a weight of
// every layout.
//
// An input is a whole file. If the header length in the input is larger than the input, the fuzzer
// reduces this length. Otherwise nearly every mutation would fail at the length.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "formats/weight_source.h"
#include "fuzz/expected_error.h"
#include "fuzz/memory_file.h"

namespace bitaxon {
namespace {

void check_tiles(std::span<const TensorInfo> tensors, std::uint64_t begin, std::uint64_t end) {
  for (const TensorInfo& tensor : tensors) {
    if (tensor.offset_bytes != begin) fuzzer_failed("not tiled", tensor.name);
    begin += tensor.size_bytes;
  }
  if (begin != end) fuzzer_failed("not tiled", "to the end");
}

/// Parses only a header, as if it belonged to a file of `file_size` bytes.
void parse_header(std::string_view json, std::uint64_t file_size) {
  try {
    const SafetensorsHeader header = parse_safetensors_header(json, file_size, "input");
    check_tiles(header.tensors, 8 + json.size(), file_size);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format) fuzzer_failed("wrong kind", error.what());
    check_message(error, "input: ");
  }
}

/// Shapes to try for a weight that is stored in `tensor`: three fixed shapes, the shape of the tensor
/// (if it holds numbers), and this shape with 8 times as many columns (if an element holds 8 codes).
std::vector<Shape> plausible_shapes(const TensorInfo& tensor) {
  std::vector<Shape> shapes = {Shape{2, 64}, Shape{1, 3}, Shape{2, 2, 32}};
  if (tensor.shape.rank() > Shape::kMaxRank) return shapes;
  shapes.push_back(Shape(tensor.shape));
  std::vector<std::int64_t> dims(tensor.shape.dims().begin(), tensor.shape.dims().end());
  if (!dims.empty() && tensor.shape.elements() < std::int64_t{1} << 40) {
    dims.back() *= 8;
    shapes.push_back(Shape(dims));
  }
  return shapes;
}

void find_and_decode(const Checkpoint& checkpoint, const TensorInfo& tensor, const Shape& shape,
                     const std::string& path) {
  if (shape.rank() < 1 || shape.rank() > 3) return;
  try {
    const auto source = find_weight(checkpoint, tensor.name, shape, true);
    if (!source) fuzzer_failed("tensor not found", tensor.name);
    LoadedWeight loaded;
    read_weight(checkpoint, *source, loaded);
    std::vector<float> out(static_cast<std::size_t>(source->desc.elements()));
    decode(source->desc, loaded.parts, 0, out);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format && error.kind() != ErrorKind::unsupported)
      fuzzer_failed("wrong kind", error.what());
    check_message(error, path + ": ");
  }
}

void open_file(std::string_view bytes) {
  const MemoryFile file(bytes);
  const std::string path = file.path();
  try {
    const Checkpoint checkpoint = Checkpoint::open(path);
    for (const TensorInfo& tensor : checkpoint.tensors())
      for (const Shape& shape : plausible_shapes(tensor))
        find_and_decode(checkpoint, tensor, shape, path);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format) fuzzer_failed("wrong kind", error.what());
    check_message(error, path + ": ");
  }
}

}  // namespace
}  // namespace bitaxon

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  bitaxon::open_file(bytes);
  if (size < 8) return 0;
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 8; ++i) length |= std::uint64_t{data[i]} << (8 * i);
  bitaxon::parse_header(std::string_view(bytes).substr(8), length);
  length = std::min<std::uint64_t>(length, size - 8);
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>((length >> (8 * i)) & 0xff);
  bitaxon::open_file(bytes);
  return 0;
}
