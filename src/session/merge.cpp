#include <fmt/format.h>

#include "bitaxon/error.h"
#include "formats/quantize.h"
#include "model/adapter_file.h"
#include "session/rewrite_impl.h"

namespace bitaxon {
namespace {

bool is_written(const WeightDesc& desc) {
  return desc.format == WeightFormat::affine ||
         (desc.format == WeightFormat::codebook && desc.codebook == Codebook::nf4);
}

/// How to quantize a weight again that was quantized before. Empty if the columns of the weight do
/// not divide into groups, and for formats that the program does not write.
std::optional<Quantization> again(const WeightDesc& desc, std::optional<std::int64_t> group_size) {
  if (!is_written(desc)) return std::nullopt;
  const Quantization how{desc.format, group_size.value_or(desc.group_size), desc.nested, desc.bits};
  const bool known = how.group_size == 32 || how.group_size == 64 || how.group_size == 128;
  if (!known || !can_quantize(desc, how)) return std::nullopt;
  return how;
}

/// The form in which a quantized weight is written as floats.
WeightDesc as_floats(WeightDesc desc) {
  // desc.dtype is the type that the weight had before quantization: the type of affine scales, or
  // the type that the NF4 quant_state names.
  desc.format = WeightFormat::dense;
  desc.group_size = desc.nested_group_size = 0;
  desc.nested = false;
  return desc;
}

/// How to change or copy each weight. `file` is the model's file, for messages.
std::vector<WeightEdit> edits_of(const MergeOptions& options, const std::string& file,
                                 const std::vector<FoundWeight>& found, const Adapter& adapter) {
  std::vector<WeightEdit> edits;
  for (const FoundWeight& weight : found) {
    const WeightDesc& desc = weight.source.desc;
    WeightEdit edit{.from = weight, .to = desc, .how = {}, .change = {}};
    const auto layer = adapter.layers.find(weight.slot.name());
    if (layer != adapter.layers.end()) edit.change = change_of(layer->second, options.scale);
    const bool is_coded = desc.format != WeightFormat::dense;
    const bool other_groups = options.group_size.value_or(desc.group_size) != desc.group_size;
    if (is_coded && !options.re_quantize) {
      edit.to = as_floats(desc);
    } else if (is_coded && (edit.change || other_groups)) {
      edit.how = again(desc, options.group_size);
      // A weight that is not adapted stays as it is.
      if (edit.change && !is_written(desc))
        throw Error(ErrorKind::unsupported,
                    fmt::format("{}: tensor {}: expected affine codes or NF4 to quantize it again, "
                                "got {}; see --no-re-quantize",
                                file, weight.slot.name(), desc.format_name()));
      if (!edit.how && edit.change)
        throw Error(
            ErrorKind::unsupported,
            fmt::format("{}: tensor {}: expected groups of 32, 64 or 128 that divide {} columns to "
                        "quantize it again, got {}; see --group-size and --no-re-quantize",
                        file, weight.slot.name(), desc.cols,
                        options.group_size.value_or(desc.group_size)));
      if (edit.how) edit.to = quantized_desc(as_floats(desc), *edit.how);
    }
    edits.push_back(std::move(edit));
  }
  return edits;
}

void check_rank(const MergeOptions& options, const Adapter& adapter) {
  for (const auto& [weight, layer] : adapter.layers)
    if (options.rank.value_or(layer.rank) != layer.rank)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("lora-rank: expected {}, the rank of the adapter of {}, got {}",
                              layer.rank, weight, *options.rank));
}

}  // namespace

Rewrite Rewrite::merge(const ModelFiles& files, const MergeOptions& options) {
  auto impl = std::make_unique<Impl>(files);
  const Checkpoint adapter_file = Checkpoint::open(find_adapter(options.adapter));
  impl->adapter = read_adapter(adapter_file, impl->found, impl->warnings);
  check_rank(options, impl->adapter);
  impl->edits = edits_of(options, impl->name, impl->found, impl->adapter);
  return Rewrite(std::move(impl));
}

}  // namespace bitaxon
