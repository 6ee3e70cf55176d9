#include "formats/stored_weight.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/assert.h"
#include "formats/json.h"

namespace bitaxon {
namespace {

/// A part, with the tensor that holds it.
struct Planned {
  std::span<const std::byte> WeightParts::*bytes;
  SafetensorsWriter::Spec spec;
};

Shape with_last(const Shape& shape, std::int64_t last) {
  std::vector<std::int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims.back() = last;
  return Shape(std::span<const std::int64_t>(dims));
}

/// As bitsandbytes writes it: its keys in its order, Python's spaces.
std::string quant_state(const StoredWeight& weight, const WeightDesc& desc) {
  std::string dims;
  for (const std::int64_t extent : weight.shape.dims())
    dims += fmt::format("{}{}", dims.empty() ? "" : ", ", extent);
  std::string text = fmt::format(
      R"({{"quant_type": "nf4", "blocksize": {}, "dtype": "{}", "shape": [{}])", desc.group_size,
      weight.from == DType::f16    ? "float16"
      : weight.from == DType::bf16 ? "bfloat16"
                                   : "float32",
      dims);
  if (desc.nested)
    text +=
        fmt::format(R"(, "nested_blocksize": {}, "nested_dtype": "float32", "nested_offset": {})",
                    desc.nested_group_size, Json(static_cast<double>(desc.nested_offset)).dump());
  return text + "}";
}

/// Room for any nested_offset: JSON allows white space behind it.
constexpr std::size_t kOffsetRoom = 26;

std::size_t quant_state_bytes(const StoredWeight& weight) {
  const std::size_t size = quant_state(weight, weight.desc).size();
  return weight.desc.nested ? size + kOffsetRoom : size;
}

std::vector<Planned> parts_of(const StoredWeight& weight) {
  const WeightDesc& desc = weight.desc;
  const PartBytes bytes = part_bytes(desc);
  const auto size = [](std::uint64_t n) { return static_cast<std::int64_t>(n); };
  switch (desc.format) {
    case WeightFormat::dense:
      return {{&WeightParts::data, {weight.name, desc.dtype, weight.shape}}};
    case WeightFormat::affine4: {
      const std::string stem = weight.name.substr(0, weight.name.rfind('.'));
      const Shape groups = with_last(weight.shape, desc.cols / desc.group_size);
      return {
          {&WeightParts::data, {weight.name, DType::u32, with_last(weight.shape, desc.cols / 8)}},
          {&WeightParts::scales, {stem + ".scales", desc.dtype, groups}},
          {&WeightParts::biases,
           {stem + (weight.is_stack ? ".biases_quant" : ".biases"), desc.bias_dtype, groups}}};
    }
    case WeightFormat::nf4:
      break;
  }
  const std::string& name = weight.name;
  std::vector<Planned> parts = {
      {&WeightParts::data, {name, DType::u8, {size(bytes.data), 1}}},
      {&WeightParts::scales,
       {name + ".absmax",
        desc.nested ? DType::u8 : DType::f32,
        {size(bytes.scales / (desc.nested ? 1 : sizeof(float)))}}},
      {&WeightParts::quant_map, {name + ".quant_map", DType::f32, {16}}},
      {nullptr,
       {name + ".quant_state.bitsandbytes__nf4", DType::u8, {size(quant_state_bytes(weight))}}}};
  if (desc.nested) {
    parts.push_back(
        {&WeightParts::nested_scales,
         {name + ".nested_absmax", DType::f32, {size(bytes.nested_scales / sizeof(float))}}});
    parts.push_back(
        {&WeightParts::nested_quant_map, {name + ".nested_quant_map", DType::f32, {256}}});
  }
  return parts;
}

}  // namespace

StoredWeightWriter::StoredWeightWriter(const std::filesystem::path& path,
                                       const std::vector<StoredWeight>& weights,
                                       std::vector<SafetensorsWriter::Spec> others,
                                       std::map<std::string, std::string> metadata)
    : weights_(weights), parts_(weights.size()) {
  std::vector<SafetensorsWriter::Spec> specs;
  for (std::size_t i = 0; i < weights.size(); ++i)
    for (Planned& planned : parts_of(weights[i])) {
      parts_[i].push_back({planned.bytes, specs.size()});
      specs.push_back(std::move(planned.spec));
    }
  for (SafetensorsWriter::Spec& other : others) {
    others_.push_back(specs.size());
    specs.push_back(std::move(other));
  }
  std::vector<std::size_t> order(specs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return size_of(specs[a].dtype) > size_of(specs[b].dtype);
  });
  std::vector<std::size_t> place(specs.size());
  std::vector<SafetensorsWriter::Spec> sorted;
  for (std::size_t i = 0; i < order.size(); ++i) {
    place[order[i]] = i;
    sorted.push_back(std::move(specs[order[i]]));
  }
  for (auto& parts : parts_)
    for (Part& part : parts) part.tensor = place[part.tensor];
  for (std::size_t& other : others_) other = place[other];
  writer_.emplace(path, std::move(sorted), std::move(metadata));
}

void StoredWeightWriter::write(std::size_t weight, const WeightDesc& desc,
                               const WeightParts& parts) {
  for (const Part& part : parts_[weight]) {
    if (part.bytes != nullptr) {
      writer_->write_part(part.tensor, 0, parts.*part.bytes);
      continue;
    }
    std::string text = quant_state(weights_[weight], desc);
    const std::size_t size = quant_state_bytes(weights_[weight]);
    BX_ASSERT(text.size() <= size, "room was made for the offset");
    text.resize(size, ' ');
    writer_->write_part(part.tensor, 0, std::as_bytes(std::span(text)));
  }
}

void StoredWeightWriter::write_dense(std::size_t weight, std::uint64_t offset,
                                     std::span<const std::byte> bytes) {
  writer_->write_part(parts_[weight][0].tensor, offset, bytes);
}

void StoredWeightWriter::write_other(std::size_t other, std::uint64_t offset,
                                     std::span<const std::byte> bytes) {
  writer_->write_part(others_[other], offset, bytes);
}

}  // namespace bitaxon
