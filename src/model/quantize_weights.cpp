// Sources: quantize_model() and quant_predicate of mlx-lm; the bitsandbytes integration of
// transformers.
#include "model/quantize_weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "bitaxon/error.h"

namespace bitaxon {
namespace {

/// How the models of mlx-lm quantize routers, whatever the other matrices have.
constexpr Quantization kRouter = {.group_size = 64, .bits = 8};

/// The rule of mlx-lm and transformers.
std::optional<Quantization> published_rule(WeightId id, const Quantization& how) {
  const bool router = id == WeightId::router;
  if (how.format == WeightFormat::affine) return router ? kRouter : how;
  // transformers takes dt_proj's weight out of its layer in Mamba and multiplies by it as floats.
  const bool keeps_floats =
      router || id == WeightId::embedding || id == WeightId::head || id == WeightId::dt_weight;
  return keeps_floats ? std::nullopt : std::optional(how);
}

}  // namespace

std::optional<Quantization> quantization_of(const ModelSpec& spec, const WeightSlot& slot,
                                            const WeightDesc& dense, const Quantization& how) {
  if (!slot.may_be_quantized()) return std::nullopt;
  const WeightId id = slot.key.id;
  std::optional<Quantization> chosen;
  if (spec.quantizes_embedding)
    chosen = published_rule(id, how);
  else if (id != WeightId::embedding)
    chosen = how;
  return chosen && can_quantize(dense, *chosen) ? chosen : std::nullopt;
}

bool has_separate_head(const ModelSpec& spec, const WeightDesc& embedding,
                       const Quantization& how) {
  return !spec.quantizes_embedding && can_quantize(embedding, how);
}

void quantize_found(const ModelSpec& spec, const Quantization& how, std::string_view name,
                    std::vector<FoundWeight>& found, std::vector<std::string>& warnings) {
  check_quantization(how);
  const FoundWeight* embedding = nullptr;
  bool has_head = false;
  for (FoundWeight& entry : found) {
    const WeightDesc& desc = entry.source.desc;
    if (desc.format != WeightFormat::dense)
      throw Error(ErrorKind::unsupported,
                  fmt::format("{}: tensor {}: expected floats to quantize, got {}: the model is "
                              "quantized already",
                              name, entry.slot.name(), desc.format_name()));
    const WeightId id = entry.slot.key.id;
    if (id == WeightId::embedding) embedding = &entry;
    has_head = has_head || id == WeightId::head;
    entry.quantize = quantization_of(spec, entry.slot, desc, how);
  }
  if (!has_head && embedding != nullptr && has_separate_head(spec, embedding->source.desc, how)) {
    FoundWeight head = *embedding;
    head.slot = weight_slots(spec).back();
    head.source.desc.name = head.slot.name();
    head.quantize = how;
    found.push_back(std::move(head));
  }
  if (std::ranges::none_of(found,
                           [](const FoundWeight& entry) { return entry.quantize.has_value(); }))
    warnings.push_back(
        fmt::format("{}: nothing is quantized: expected matrices whose rows divide "
                    "into groups of {}, got none",
                    name, how.group_size));
}

}  // namespace bitaxon
