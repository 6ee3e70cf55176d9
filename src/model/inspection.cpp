#include "model/inspection.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/align.h"
#include "model/model_folder.h"
#include "model/random_weights.h"
#include "model/state_pool.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

/// The number of elements of the weight that a step of one token reads.
std::int64_t read_per_token(const FoundWeight& weight) {
  const WeightDesc& desc = weight.source.desc;
  if (weight.slot.role == WeightRole::experts)
    return desc.elements() / desc.n_matrices * weight.slot.chosen_of;
  return weight.slot.key.id == WeightId::embedding ? desc.cols : desc.elements();
}

/// The type of a weight's scales: for affine, such as "F16", else "F32" or "U8". If affine biases
/// have another type than the scales, both types, such as "F16, biases F32".
std::string scale_type(const WeightDesc& desc) {
  if (desc.format == WeightFormat::codebook)
    return desc.nested || !has_stored_table(desc) ? "U8" : "F32";
  if (desc.format == WeightFormat::mxfp8) return "U8";
  if (desc.format == WeightFormat::int8) return "F32";
  const std::string scales(name_of(desc.dtype));
  return desc.bias_dtype == desc.dtype
             ? scales
             : fmt::format("{}, biases {}", scales, name_of(desc.bias_dtype));
}

std::uint64_t state_bytes(const ModelSpec& spec, DType kv_dtype) {
  StateIndex index;
  return state_layout(spec, {.kv_dtype = kv_dtype, .context = spec.max_seq_len}, index)
      .total_bytes();
}

void count(Inspection& model) {
  bool has_head = false;
  for (const FoundWeight& weight : model.weights) {
    const WeightDesc& desc = weight.source.desc;
    const bool head = weight.slot.key.id == WeightId::head;
    has_head = has_head || head;
    if (!head || !model.spec.has_tied_head) model.n_parameters += desc.elements();
    model.n_read_per_token += read_per_token(weight);
    for (Tally* tally : {&model.stored, &model.parts[std::string(part_of(weight.slot.key.id))],
                         &model.formats[desc.format_name()]}) {
      tally->elements += desc.elements();
      tally->bytes += weight.stored_bytes();
    }
    if (desc.format == WeightFormat::dense) continue;
    const PartBytes bytes = part_bytes(desc);
    Tally& scales = model.scales[scale_type(desc)];
    scales.elements += divide_up(desc.elements(), desc.group_size);  // the last group may be short
    scales.bytes += bytes.scales + bytes.biases + bytes.nested_scales;
  }
  // Without a head of its own, the model uses the embedding as its head. Each token reads all of it.
  if (!has_head) model.n_read_per_token += model.spec.vocab_size * model.spec.d_embedding;
  model.state_exact_bytes = state_bytes(model.spec, DType::f32);
  model.state_fast_bytes = state_bytes(model.spec, DType::f16);
}

}  // namespace

Inspection inspect_files(const ModelFiles& files) {
  Inspection model;
  model.path = files.weights.string();
  model.checkpoint.emplace(open_checkpoint(files));
  model.spec = load_spec(files, model.warnings);
  model.weights =
      find_weights(model.spec, *model.checkpoint, printable_path(model.path), model.warnings);
  count(model);
  return model;
}

Inspection inspect_random(const ModelSpec& spec, const std::string& name) {
  Inspection model;
  model.path = name;
  model.spec = spec;
  model.weights = random_found(spec);
  count(model);
  return model;
}

void check_numbers(Inspection& model, const LoadProgress& on_progress) {
  LoadedWeight loaded;
  std::vector<float> row;
  std::uint64_t done = 0, total = 0;
  for (const FoundWeight& weight : model.weights) total += weight.source.desc.stored_bytes();
  for (const FoundWeight& weight : model.weights) {
    const WeightDesc desc = load_weight(*model.checkpoint, weight.source, loaded);
    BadTensor bad{weight.slot.name(), 0, 0};
    row.resize(static_cast<std::size_t>(desc.cols));
    for (std::int64_t first = 0; first < desc.elements(); first += desc.cols) {
      decode(desc, loaded.parts, first, row);
      for (float value : row) {
        bad.n_nan += std::isnan(value) ? 1 : 0;
        bad.n_inf += std::isinf(value) ? 1 : 0;
      }
    }
    if (bad.n_nan + bad.n_inf > 0) model.bad.push_back(std::move(bad));
    done += desc.stored_bytes();
    if (on_progress) on_progress(done, total);
  }
}

std::string layers_text(const ModelSpec& spec) {
  std::vector<std::pair<std::string, int>> counts;
  for (const BlockSpec& block : spec.blocks) {
    const auto known = std::ranges::find(counts, block.kind, &std::pair<std::string, int>::first);
    if (known == counts.end())
      counts.emplace_back(block.kind, 1);
    else
      ++known->second;
  }
  std::vector<std::string> texts;
  for (const auto& [kind, count] : counts) texts.push_back(fmt::format("{} {}", count, kind));
  return fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace bitaxon
