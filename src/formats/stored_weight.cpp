#include "formats/stored_weight.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "bitaxon/error.h"

namespace bitaxon {
namespace {

/// A part of a weight, and the tensor that will hold the part.
struct Planned {
  std::span<const std::byte> WeightParts::*bytes;
  SafetensorsWriter::Spec spec;
};

/// The number as Python prints it: with the fewest digits that identify the number, and always with
/// a point or an exponent. fmt prints the same digits and has the same limits for exponents (1e-05,
/// 1e+16).
std::string python_float(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

/// The quant_state as bitsandbytes writes it: the same keys in the same order, with the spaces of
/// Python's JSON.
std::string quant_state(const StoredWeight& weight, const WeightDesc& desc) {
  std::string dims;
  for (const std::int64_t extent : weight.shape.dims())
    dims += fmt::format("{}{}", dims.empty() ? "" : ", ", extent);
  std::string text = fmt::format(
      R"({{"quant_type": "nf4", "blocksize": {}, "dtype": "{}", "shape": [{}])", desc.group_size,
      desc.dtype == DType::f16    ? "float16"
      : desc.dtype == DType::bf16 ? "bfloat16"
                                  : "float32",
      dims);
  if (desc.nested)
    text +=
        fmt::format(R"(, "nested_blocksize": {}, "nested_dtype": "float32", "nested_offset": {})",
                    desc.nested_group_size, python_float(double{desc.nested_offset}));
  return text + "}";
}

/// The most bytes by which the quant_state grows when nested_offset becomes known.
constexpr std::size_t kOffsetRoom = 26;

std::size_t most_quant_state_bytes(const StoredWeight& weight) {
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
    case WeightFormat::affine: {
      const std::string stem = weight.name.substr(0, weight.name.rfind('.'));
      const Shape groups = with_last(weight.shape, desc.cols / desc.group_size);
      return {
          {&WeightParts::data,
           {weight.name, DType::u32, with_last(weight.shape, desc.cols * desc.bits / 32)}},
          {&WeightParts::scales, {stem + ".scales", desc.dtype, groups}},
          {&WeightParts::biases, {stem + std::string(weight.biases_end), desc.bias_dtype, groups}}};
    }
    case WeightFormat::codebook:
      break;
    case WeightFormat::mxfp8:
    case WeightFormat::int8:
      throw Error(ErrorKind::unsupported, fmt::format("[write] \"{}\": {} is not written",
                                                      weight.name, desc.format_name()));
  }
  const std::string& name = weight.name;
  std::vector<Planned> parts = {{&WeightParts::data, {name, DType::u8, {size(bytes.data), 1}}},
                                {&WeightParts::scales,
                                 {name + ".absmax",
                                  desc.nested ? DType::u8 : DType::f32,
                                  {size(bytes.scales / (desc.nested ? 1 : sizeof(float)))}}},
                                {&WeightParts::quant_map, {name + ".quant_map", DType::f32, {16}}},
                                {nullptr,
                                 {name + ".quant_state.bitsandbytes__nf4",
                                  DType::u8,
                                  {size(most_quant_state_bytes(weight))}}}};
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

std::vector<std::string> tensor_names(const StoredWeight& weight) {
  std::vector<std::string> names;
  for (Planned& planned : parts_of(weight)) names.push_back(std::move(planned.spec.name));
  return names;
}

StoredWeightWriter::StoredWeightWriter(const std::filesystem::path& path,
                                       const std::vector<StoredWeight>& weights,
                                       std::vector<SafetensorsWriter::Spec> others,
                                       std::map<std::string, std::string> metadata)
    : weights_(weights), parts_(weights.size()) {
  std::vector<SafetensorsWriter::Spec> specs;
  std::set<std::size_t> last;
  for (std::size_t i = 0; i < weights.size(); ++i)
    for (Planned& planned : parts_of(weights[i])) {
      if (planned.bytes == nullptr && weights[i].desc.nested) last.insert(specs.size());
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
    return std::pair(last.contains(a), specs[b].dtype.bits()) <
           std::pair(last.contains(b), specs[a].dtype.bits());
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

std::uint64_t StoredWeightWriter::write(std::size_t weight, const WeightDesc& desc,
                                        const WeightParts& parts) {
  std::uint64_t size_bytes = 0;
  for (const Part& part : parts_[weight]) {
    if (part.bytes != nullptr) {
      writer_->write_part(part.tensor, 0, parts.*part.bytes);
      size_bytes += (parts.*part.bytes).size();
      continue;
    }
    std::string text = quant_state(weights_[weight], desc);
    size_bytes += text.size();
    if (desc.nested)
      last_.emplace_back(part.tensor, std::move(text));
    else
      writer_->write_part(part.tensor, 0, std::as_bytes(std::span(text)));
  }
  return size_bytes;
}

void StoredWeightWriter::commit() {
  for (const auto& [tensor, text] : last_) writer_->shrink(tensor, {std::ssize(text)});
  for (const auto& [tensor, text] : last_)
    writer_->write_part(tensor, 0, std::as_bytes(std::span(text)));
  writer_->commit();
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
