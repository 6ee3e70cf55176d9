// Sources: quantize_model() of mlx-lm; BitsAndBytesConfig of transformers.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/json.h"
#include "formats/quantization_config.h"
#include "formats/weight_search.h"

namespace bitaxon {
namespace {

bool is_of_bitsandbytes(const WeightDesc& desc) {
  return desc.format == WeightFormat::int8 ||
         (desc.format == WeightFormat::codebook && has_stored_table(desc));
}

std::string module_of(const StoredWeight& weight) {
  return weight.name.substr(0, weight.name.size() - kWeightEnd.size());
}

Json mlx_form(const WeightDesc& desc) {
  const bool fp = desc.format == WeightFormat::codebook;
  const std::string_view mode = fp                                   ? name_of(desc.codebook)
                                : desc.format == WeightFormat::mxfp8 ? "mxfp8"
                                                                     : "affine";
  const int bits = desc.format == WeightFormat::mxfp8 ? 8 : desc.bits;
  return {{"group_size", desc.group_size}, {"bits", bits}, {"mode", mode}};
}

/// The form of most elements, then an entry for each module with another form.
Json mlx_keys(std::span<const StoredWeight* const> coded) {
  std::vector<std::pair<Json, std::int64_t>> forms;
  for (const StoredWeight* weight : coded) {
    const Json form = mlx_form(weight->desc);
    auto known = std::ranges::find(forms, form, &std::pair<Json, std::int64_t>::first);
    if (known == forms.end()) known = forms.insert(forms.end(), {form, 0});
    known->second += weight->desc.elements();
  }
  const Json most =
      std::ranges::max_element(forms, {}, &std::pair<Json, std::int64_t>::second)->first;
  Json block = most;
  for (const StoredWeight* weight : coded)
    if (Json form = mlx_form(weight->desc); form != most)
      block[module_of(*weight)] = std::move(form);
  return {{"quantization", block}, {"quantization_config", block}};
}

Json bitsandbytes_keys(std::span<const StoredWeight> weights, const WeightDesc& coded) {
  // transformers gives codes to every linear layer that this list does not name.
  Json skipped = Json::array({"lm_head"});
  for (const StoredWeight& weight : weights)
    if (weight.desc.format == WeightFormat::dense && weight.shape.rank() == 2 &&
        weight.name.ends_with(kWeightEnd) && module_of(weight) != "lm_head")
      skipped.push_back(module_of(weight));
  const bool eight = coded.format == WeightFormat::int8;
  Json block = {{"quant_method", "bitsandbytes"},
                {"load_in_4bit", !eight},
                {"load_in_8bit", eight},
                {"llm_int8_skip_modules", skipped}};
  if (!eight) {
    block["bnb_4bit_quant_type"] = name_of(coded.codebook);
    block["bnb_4bit_use_double_quant"] = coded.nested;
    block["bnb_4bit_quant_storage"] = "uint8";
    block["bnb_4bit_compute_dtype"] = coded.dtype == DType::f16    ? "float16"
                                      : coded.dtype == DType::bf16 ? "bfloat16"
                                                                   : "float32";
  }
  return {{"quantization_config", block}};
}

}  // namespace

Json quantization_keys(std::span<const StoredWeight> weights) {
  std::vector<const StoredWeight*> coded;
  for (const StoredWeight& weight : weights)
    if (weight.desc.format != WeightFormat::dense && weight.name.ends_with(kWeightEnd))
      coded.push_back(&weight);
  if (coded.empty()) return Json::object();
  const WeightDesc& first = coded.front()->desc;
  const bool bitsandbytes = is_of_bitsandbytes(first);
  for (const StoredWeight* weight : coded) {
    const WeightDesc& desc = weight->desc;
    if (is_of_bitsandbytes(desc) != bitsandbytes) return Json::object();
    if (bitsandbytes && (desc.format != first.format || desc.codebook != first.codebook))
      return Json::object();
  }
  return bitsandbytes ? bitsandbytes_keys(weights, first) : mlx_keys(coded);
}

}  // namespace bitaxon
