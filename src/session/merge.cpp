#include <fmt/format.h>

#include "bitaxon/error.h"
#include "formats/quantize.h"
#include "model/base_hash.h"
#include "session/rewrite_impl.h"

namespace bitaxon {
namespace {

bool is_written(const WeightDesc& desc) {
  return desc.format == WeightFormat::affine ||
         (desc.format == WeightFormat::codebook && desc.codebook == Codebook::nf4);
}

/// How to quantize a weight again that was quantized before. Empty if the columns of the weight do
/// not divide into groups, and for formats that the program does not write.
std::optional<Quantization> again(const WeightDesc& desc, const MergeOptions& options) {
  if (!is_written(desc)) return std::nullopt;
  const bool affine = desc.format == WeightFormat::affine;
  const Quantization how{desc.format, options.group_size.value_or(desc.group_size), desc.nested,
                         affine ? options.bits.value_or(desc.bits) : 4};
  const bool known = how.group_size == 32 || how.group_size == 64 || how.group_size == 128;
  if (!known || !can_quantize(desc, how)) return std::nullopt;
  return how;
}

/// The form in which a quantized weight is written as floats, by default in the type that the weight
/// had before quantization.
WeightDesc as_floats(WeightDesc desc, std::optional<DType> dtype = {}) {
  // desc.dtype is the type that the weight had before quantization: the type of affine scales, or
  // the type that the NF4 quant_state names.
  desc.dtype = dtype.value_or(desc.dtype);
  desc.format = WeightFormat::dense;
  desc.group_size = desc.nested_group_size = 0;
  desc.nested = false;
  return desc;
}

/// Plans how each weight is changed or copied.
class MergePlan {
 public:
  /// `file` is the model's file, for messages.
  MergePlan(const MergeOptions& options, const std::string& file, const Adapter& adapter)
      : options_(options), file_(file), adapter_(adapter) {}

  std::vector<WeightEdit> edits_of(const std::vector<FoundWeight>& found) const {
    std::vector<WeightEdit> edits;
    for (const FoundWeight& weight : found) {
      const std::size_t n = weight.source.matrices.size();
      if (n == 0) edits.push_back(edit_of(weight, weight.slot.name(), 0));
      // Matrices that are stored one by one are also written one by one.
      for (std::size_t i = 0; i < n; ++i)
        edits.push_back(
            edit_of(single(weight, i), weight.slot.name(), static_cast<std::int64_t>(i)));
    }
    return edits;
  }

 private:
  static FoundWeight single(const FoundWeight& stack, std::size_t index) {
    FoundWeight matrix{stack.slot, stack.source.matrices[index]};
    const WeightDesc& desc = matrix.source.desc;
    matrix.slot.role = WeightRole::matrix;
    matrix.slot.names = {desc.name};
    matrix.slot.shape = {desc.rows, desc.cols};
    return matrix;
  }

  /// `slot` is the name of the weight in the adapter, and `matrix` the first of its matrices.
  WeightEdit edit_of(const FoundWeight& weight, const std::string& slot,
                     std::int64_t matrix) const {
    const WeightDesc& desc = weight.source.desc;
    WeightEdit edit{.from = weight, .to = desc, .how = {}, .change = {}};
    const auto layers = adapter_.weights.find(slot);
    if (layers != adapter_.weights.end() && adapts(layers->second, matrix, desc.n_matrices))
      edit.change = change_of(layers->second, desc.rows, matrix);
    const bool is_coded = desc.format != WeightFormat::dense;
    const bool other_form =
        options_.group_size.value_or(desc.group_size) != desc.group_size ||
        (desc.format == WeightFormat::affine && options_.bits.value_or(desc.bits) != desc.bits);
    if (!is_coded && edit.change)
      edit.to.dtype = options_.dtype.value_or(desc.dtype);
    else if (is_coded && !options_.re_quantize)
      edit.to = as_floats(desc, options_.dtype);
    else if (is_coded && (edit.change || other_form))
      quantize_again(edit);
    return edit;
  }

  static bool adapts(const LoraLayers& layers, std::int64_t first, std::int64_t n_matrices) {
    const auto layer = layers.lower_bound(first);
    return layer != layers.end() && layer->first < first + n_matrices;
  }

  /// A weight that is not adapted and that cannot be quantized again stays as it is.
  void quantize_again(WeightEdit& edit) const {
    const WeightDesc& desc = edit.from.source.desc;
    edit.how = again(desc, options_);
    if (edit.change && !is_written(desc))
      fail(edit, fmt::format("expected affine codes or NF4 to quantize it again, got {}; see "
                             "--no-re-quantize",
                             desc.format_name()));
    if (!edit.how && edit.change)
      fail(edit, fmt::format("expected groups of 32, 64 or 128 that divide {} columns to quantize "
                             "it again, got {}; see --group-size and --no-re-quantize",
                             desc.cols, options_.group_size.value_or(desc.group_size)));
    if (edit.how) edit.to = quantized_desc(as_floats(desc), *edit.how);
  }

  [[noreturn]] void fail(const WeightEdit& edit, std::string_view what) const {
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: tensor {}: {}", file_, edit.from.slot.name(), what));
  }

  const MergeOptions& options_;
  const std::string& file_;
  const Adapter& adapter_;
};

void check_rank(const MergeOptions& options, const Adapter& adapter) {
  for (const auto& [weight, layers] : adapter.weights)
    for (const auto& [matrix, layer] : layers)
      if (options.rank.value_or(layer.rank) != layer.rank)
        throw Error(ErrorKind::invalid_argument,
                    fmt::format("lora-rank: expected {}, the rank of the adapter of {}, got {}",
                                layer.rank, weight, *options.rank));
}

}  // namespace

Rewrite Rewrite::merge(const ModelFiles& files, const MergeOptions& options) {
  auto impl = std::make_unique<Impl>(files);
  impl->adapter =
      read_named_adapter(options.adapter, options.scale, base_hash(impl->spec, &impl->checkpoint),
                         impl->found, impl->warnings);
  check_rank(options, impl->adapter);
  impl->edits = MergePlan(options, impl->name, impl->adapter).edits_of(impl->found);
  return Rewrite(std::move(impl));
}

}  // namespace bitaxon
