// Sources: load_model() and quantize_model() of mlx-lm; BitsAndBytesConfig of transformers.
#include "formats/quantization_config.h"

#include <fmt/format.h>

#include "bitaxon/error.h"
#include "formats/foreign_format.h"
#include "formats/json.h"
#include "formats/weight_search.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

/// The mode of an MLX block, with the bits and the group size that the mode has by default.
struct Mode {
  std::string_view name;
  WeightFormat format;
  Codebook codebook;
  int bits;
  std::int64_t group_size;
};
constexpr Mode kModes[] = {{"affine", WeightFormat::affine, Codebook::nf4, 4, 64},
                           {"mxfp4", WeightFormat::codebook, Codebook::mxfp4, 4, 32},
                           {"nvfp4", WeightFormat::codebook, Codebook::nvfp4, 4, 16},
                           {"mxfp8", WeightFormat::mxfp8, Codebook::nf4, 8, 32}};

/// What messages call the methods of quantization that are often met.
struct Method {
  std::string_view key;
  std::string_view name;
};
constexpr Method kMethods[] = {{"gptq", "GPTQ"},
                               {"awq", "AWQ"},
                               {"fp8", "FP8 with scales of blocks"},
                               {"fbgemm_fp8", "FP8 with scales of rows"},
                               {"compressed-tensors", "compressed-tensors"},
                               {"mxfp4", "MXFP4 of transformers"}};

/// Refuses a value. `place` is the file and the keys that lead to the value.
[[noreturn]] void fail(const std::string& place, std::string_view expected, const Json& got) {
  throw Error(ErrorKind::format,
              fmt::format("{}: expected {}, got {}", place, expected, printable_json(got)));
}

std::string inside(const std::string& place, std::string_view key) {
  return fmt::format("{}: {}", place, printable(key, 80));
}

/// A number of the block. Returns `missing` if the number is absent or null.
std::int64_t number(const Json& block, const char* key, std::int64_t missing,
                    const std::string& place) {
  const auto found = block.find(key);
  if (found == block.end() || found->is_null()) return missing;
  const std::optional<std::int64_t> value = whole_number(*found);
  if (!value || *value < 1 || *value > 1 << 20)
    fail(inside(place, key), "a positive integer", *found);
  return *value;
}

/// A text of the block. std::nullopt if the text is absent or null.
std::optional<std::string> text(const Json& block, const char* key, const std::string& place) {
  const auto found = block.find(key);
  if (found == block.end() || found->is_null()) return std::nullopt;
  if (!found->is_string()) fail(inside(place, key), "a string", *found);
  return found->get<std::string>();
}

/// The format that an MLX block or one of its entries describes.
WeightDesc mlx_form(const Json& block, const std::string& place) {
  const std::string mode_name = text(block, "mode", place).value_or("affine");
  for (const Mode& mode : kModes) {
    if (mode.name != mode_name) continue;
    WeightDesc form;
    form.format = mode.format;
    form.codebook = mode.codebook;
    form.bits = static_cast<int>(number(block, "bits", mode.bits, place));
    form.group_size = number(block, "group_size", mode.group_size, place);
    return form;
  }
  fail(inside(place, "mode"), "affine, mxfp4, mxfp8 or nvfp4", mode_name);
}

/// The format without details that config.json does not tell.
std::string form_name(WeightDesc desc) {
  if (desc.format == WeightFormat::dense) return "floats";
  if (desc.format == WeightFormat::codebook && has_stored_table(desc))
    return std::string(name_of(desc.codebook));
  desc.nested = false;
  return desc.format_name();
}

bool is_true(const Json& block, const char* key) {
  const auto found = block.find(key);
  return found != block.end() && found->is_boolean() && found->get<bool>();
}

}  // namespace

QuantizationConfig::QuantizationConfig(std::string_view block, std::string_view name) {
  if (block.empty()) return;
  const Json json = parse_json(block, name, kConfigLimits);
  const auto part = json.begin();
  const std::string place = fmt::format("{}: {}", name, part.key());
  const Json& value = part.value();
  if (!value.is_object()) fail(place, "an object", value);
  const std::optional<std::string> key = text(value, "quant_method", place);
  if (!key) {
    read_mlx(value, place);
    return;
  }
  if (*key == "bitsandbytes") {
    read_bitsandbytes(value);
    return;
  }
  std::string method = fmt::format("\"{}\"", printable(*key, 40));
  for (const Method& known : kMethods)
    if (known.key == *key) method = known.name;
  throw Error(ErrorKind::unsupported,
              fmt::format("{}: quant_method: {} is not read; {}", place, method, kFormatsThatRun));
}

void QuantizationConfig::read_mlx(const Json& block, const std::string& place) {
  if (block.contains("bits") || block.contains("group_size") || block.contains("mode"))
    others_ = Entry{mlx_form(block, place), "quantization"};
  for (const auto& [key, value] : block.items()) {
    // A module has a path with points. Other keys, such as "linear_class", describe no module.
    if (value.is_object())
      entries_[key] = {mlx_form(value, inside(place, key)), key};
    else if (value.is_boolean() && !value.get<bool>())
      entries_[key] = {WeightDesc{}, key};
  }
}

void QuantizationConfig::read_bitsandbytes(const Json& block) {
  WeightDesc form;
  if (is_true(block, "load_in_8bit")) {
    form.format = WeightFormat::int8;
    others_ = Entry{form, "load_in_8bit"};
  } else if (is_true(block, "load_in_4bit")) {
    form.format = WeightFormat::codebook;
    form.codebook =
        block.value("bnb_4bit_quant_type", Json()) == "nf4" ? Codebook::nf4 : Codebook::fp4;
    others_ = Entry{form, "bnb_4bit_quant_type"};
  }
}

void QuantizationConfig::check(const Checkpoint& checkpoint, const WeightSource& source) const {
  for (const WeightSource& matrix : source.matrices) check(checkpoint, matrix);
  if (!source.matrices.empty()) return;
  const std::string& name = source.data->name;
  if (!name.ends_with(kWeightEnd)) return;
  const bool is_quantized = source.desc.format != WeightFormat::dense;
  const auto found = entries_.find(name.substr(0, name.size() - kWeightEnd.size()));
  const Entry* entry = found != entries_.end()   ? &found->second
                       : is_quantized && others_ ? &*others_
                                                 : nullptr;
  if (entry == nullptr) return;
  const std::string expected = form_name(entry->form);
  const std::string got = form_name(source.desc);
  if (expected == got) return;
  throw Error(ErrorKind::format,
              fmt::format("{}: tensor \"{}\": expected {}, as config.json says (quantization, "
                          "\"{}\"), got {}",
                          printable_path(checkpoint.file_name(*source.data)), printable(name),
                          expected, printable(entry->key), got));
}

std::string quantization_block(const Json& config) {
  for (const char* key : kQuantizationKeys)
    if (config.is_object() && config.contains(key) && !config[key].is_null())
      return Json{{key, config[key]}}.dump();
  return "";
}

}  // namespace bitaxon
