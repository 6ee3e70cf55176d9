#include "model/lora.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "bitaxon/error.h"
#include "formats/weight_format.h"
#include "model/adapter_file.h"
#include "model/adapter_metadata.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

[[noreturn]] void fail(const Checkpoint& file, const TensorInfo& tensor, std::string_view what,
                       ErrorKind kind = ErrorKind::format) {
  throw Error(kind, fmt::format("{}: tensor \"{}\": {}", printable_path(file.file_name(tensor)),
                                printable(tensor.name), what));
}

/// `text` without `end`. Empty if the text does not end so.
std::string_view without_end(std::string_view text, std::string_view end) {
  return text.ends_with(end) ? text.substr(0, text.size() - end.size()) : std::string_view();
}

// ---- the matrices of the model

/// A matrix that can be adapted, or a whole stack of experts.
struct Target {
  const FoundWeight* weight = nullptr;
  std::optional<std::int64_t> matrix = {};  ///< one matrix of a stack
};

/// Finds the matrices of a model by the names of their layers.
class Targets {
 public:
  explicit Targets(const std::vector<FoundWeight>& weights) {
    for (const FoundWeight& weight : weights)
      if (weight.slot.may_be_quantized())
        for (const std::string& name : weight.slot.names)
          if (const auto path = without_end(name, ".weight"); !path.empty())
            weights_.emplace(path, &weight);
  }

  std::optional<Target> find(std::string_view path) const {
    if (path.find('*') != std::string_view::npos) return std::nullopt;
    if (const auto whole = weights_.find(path); whole != weights_.end())
      return Target{whole->second};
    return find_expert(path);
  }

 private:
  /// Finds an expert by a name with its number, such as "mlp.experts.3.gate_proj".
  std::optional<Target> find_expert(std::string_view path) const {
    for (std::size_t end = path.size(); end != std::string_view::npos;) {
      const std::size_t dot = end == 0 ? std::string_view::npos : path.rfind('.', end - 1);
      if (dot == std::string_view::npos) break;
      std::int64_t index = -1;
      const auto parsed = std::from_chars(path.data() + dot + 1, path.data() + end, index);
      if (parsed.ptr == path.data() + end && index >= 0) {
        const auto stack =
            weights_.find(fmt::format("{}.*{}", path.substr(0, dot), path.substr(end)));
        if (stack == weights_.end() || index >= stack->second->slot.shape[0]) return std::nullopt;
        return Target{stack->second, index};
      }
      end = dot;
    }
    return std::nullopt;
  }

  std::map<std::string, const FoundWeight*, std::less<>> weights_;
};

// ---- the tensors of a layer

AdaptedKind kind_of(const Target& target) {
  const WeightSlot& slot = target.weight->slot;
  if (slot.key.id == WeightId::embedding) return AdaptedKind::embedding;
  return slot.role == WeightRole::experts && !target.matrix ? AdaptedKind::stack
                                                            : AdaptedKind::matrix;
}

std::vector<float> floats_of(const Checkpoint& file, const TensorInfo& tensor,
                             const Shape& expected) {
  const std::optional<DType> dtype = tensor.dtype.dtype();
  if (!dtype || !is_float(*dtype) || !(tensor.shape == expected))
    fail(file, tensor,
         fmt::format("expected F32, F16 or BF16 {}, got {}", expected.to_string(),
                     describe(tensor)));
  std::vector<std::byte> bytes(static_cast<std::size_t>(tensor.size_bytes));
  file.read(tensor, bytes);
  std::vector<float> values(static_cast<std::size_t>(tensor.shape.elements()));
  decode({.name = tensor.name, .cols = std::ssize(values), .dtype = *dtype}, {.data = bytes}, 0,
         values);
  for (const float value : values)
    if (!std::isfinite(value))
      fail(file, tensor, fmt::format("expected finite numbers, got {}", value));
  return values;
}

std::vector<float> transposed(const std::vector<float>& values, std::int64_t n_rows) {
  const auto rows = static_cast<std::size_t>(n_rows);
  const std::size_t cols = values.size() / rows;
  std::vector<float> result(values.size());
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < cols; ++c) result[c * rows + r] = values[r * cols + c];
  return result;
}

/// Reads the tensors of one layer of an adapter. `tensor` is one of them.
class LayerReader {
 public:
  LayerReader(const Checkpoint& file, const TensorInfo& tensor, const AdaptedLayer& adapted,
              const Target& target, const AdapterForm& form)
      : file_(file), tensor_(tensor), adapted_(adapted), target_(target), form_(form) {
    const Shape& shape = target.weight->slot.shape;
    is_stack_ = kind_of(target) == AdaptedKind::stack;
    n_matrices_ = is_stack_ ? shape[0] : 1;
    n_out_ = shape[shape.rank() - 2];
    n_in_ = shape[shape.rank() - 1];
  }

  /// Adds the layer's matrices to `layers`.
  void read(const AdapterConfig& config, LoraLayers& layers) const {
    const TensorInfo& down = part(form_.down);
    const TensorInfo& up = part(form_.up);
    const TensorInfo* magnitudes = find_magnitudes();
    if (magnitudes == nullptr && config.is_dora)
      fail(file_, down,
           fmt::format("expected \"{}{}\" beside it, because adapter_config.json says DoRA, got "
                       "none",
                       printable(adapted_.path), form_.magnitudes));
    if (magnitudes != nullptr && !form_.has_dora)
      fail(file_, *magnitudes,
           fmt::format("expected none, because DoRA of {} is not read",
                       is_stack_ ? "a stack of experts" : "PEFT's embeddings"),
           ErrorKind::unsupported);
    LoraLayer layer{.path = adapted_.path, .n_in = n_in_, .n_out = n_out_, .rank = rank_of(down)};
    layer.scale = config.scale_of(adapted_.in_model, layer.rank);
    const std::vector<float> all_down = factor(down, form_.down, layer.rank, n_in_);
    const std::vector<float> all_up = factor(up, form_.up, layer.rank, n_out_);
    if (magnitudes != nullptr) layer.magnitudes = floats_of(file_, *magnitudes, {n_out_});
    for (std::int64_t i = 0; i < n_matrices_; ++i) {
      const auto slice = [&](const std::vector<float>& all, std::int64_t size) {
        const auto begin = all.begin() + i * size;
        return std::vector<float>(begin, begin + size);
      };
      layer.down = slice(all_down, layer.rank * n_in_);
      layer.up = slice(all_up, layer.rank * n_out_);
      add(layers, target_.matrix.value_or(i), layer, down);
    }
  }

 private:
  const TensorInfo* find(std::string_view end) const {
    return file_.find(fmt::format("{}{}", adapted_.path, end));
  }

  const TensorInfo& part(const AdapterFactor& factor) const {
    const TensorInfo* found = find(factor.end);
    if (found == nullptr)
      fail(file_, tensor_,
           fmt::format("expected \"{}{}\" beside it, got none", printable(adapted_.path),
                       factor.end));
    return *found;
  }

  const TensorInfo* find_magnitudes() const {
    const TensorInfo* found = find(form_.magnitudes);
    return found != nullptr ? found : find(fmt::format("{}.weight", form_.magnitudes));
  }

  std::int64_t rank_of(const TensorInfo& down) const {
    const StoredShape& shape = down.shape;
    const int rank_at = shape.rank() - (form_.down.rank_is_first ? 2 : 1);
    const std::int64_t rank =
        shape.rank() == (is_stack_ ? 3 : 2) ? shape[rank_at] : std::int64_t{0};
    if (rank < 1)
      fail(file_, down,
           fmt::format("expected {}[{}], got {}",
                       is_stack_ ? fmt::format("[{}] of ", n_matrices_) : std::string(),
                       form_.down.rank_is_first ? fmt::format("rank, {}", n_in_)
                                                : fmt::format("{}, rank", n_in_),
                       shape.to_string()));
    return rank;
  }

  /// The values of a factor, as [rank, n] for `down` and [n, rank] for `up`.
  std::vector<float> factor(const TensorInfo& tensor, const AdapterFactor& factor,
                            std::int64_t rank, std::int64_t n) const {
    const Shape matrix = factor.rank_is_first ? Shape{rank, n} : Shape{n, rank};
    std::vector<float> values =
        floats_of(file_, tensor, is_stack_ ? Shape{n_matrices_, matrix[0], matrix[1]} : matrix);
    const bool wants_rank_first = &factor == &form_.down;
    return factor.rank_is_first == wants_rank_first ? values : transposed(values, matrix[0]);
  }

  void add(LoraLayers& layers, std::int64_t matrix, const LoraLayer& layer,
           const TensorInfo& at) const {
    const auto [there, is_new] = layers.emplace(matrix, layer);
    if (!is_new)
      fail(file_, at,
           fmt::format("expected one adapter of this matrix, got another one, \"{}\"",
                       printable(there->second.path)));
  }

  const Checkpoint& file_;
  const TensorInfo& tensor_;
  const AdaptedLayer& adapted_;
  const Target& target_;
  const AdapterForm& form_;
  bool is_stack_ = false;
  std::int64_t n_matrices_ = 1, n_out_ = 0, n_in_ = 0;
};

/// Tensors of an adapter that match no layer of the model.
struct Unmatched {
  const TensorInfo* first = nullptr;
  std::vector<std::string> names;

  void add(const TensorInfo& tensor) {
    if (first == nullptr) first = &tensor;
    names.push_back(fmt::format("\"{}\"", printable(tensor.name)));
  }
};

/// PEFT adapts an embedding without adapting the head that has the same weight.
void refuse_embedding_of_peft(const Checkpoint& file, const TensorInfo& tensor,
                              const std::vector<FoundWeight>& weights) {
  const bool has_head = std::ranges::any_of(
      weights, [](const FoundWeight& weight) { return weight.slot.key.id == WeightId::head; });
  if (!has_head)
    fail(file, tensor,
         "expected no adapter of the embedding, because it is also the head of this model, which "
         "PEFT does not adapt with it",
         ErrorKind::unsupported);
}

/// Changes one row of an adapted matrix. `sums` is working memory.
void change_row(const LoraLayer& layer, std::int64_t row, std::span<float> values,
                std::vector<double>& sums) {
  const auto at = static_cast<std::size_t>(row);
  const auto rank = static_cast<std::size_t>(layer.rank);
  sums.assign(values.size(), 0);
  for (std::size_t r = 0; r < rank; ++r) {
    const double up = layer.up[at * rank + r];
    const auto down = std::span(layer.down).subspan(r * values.size(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) sums[i] += double{down[i]} * up;
  }
  double squares = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sums[i] = double{values[i]} + layer.scale * sums[i];
    squares += sums[i] * sums[i];
  }
  // A row of zeros has no direction, so it cannot be scaled to a length.
  const double factor = layer.magnitudes.empty() || squares == 0
                            ? 1
                            : double{layer.magnitudes[at]} / std::sqrt(squares);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(sums[i] * factor);
}

}  // namespace

Adapter read_adapter(const Checkpoint& file, AdapterLayout layout, const AdapterConfig& config,
                     const std::vector<FoundWeight>& weights, std::vector<std::string>& warnings) {
  const Targets targets(weights);
  Unmatched unmatched, ignored;
  Adapter adapter;
  std::set<std::string> done;
  for (const TensorInfo& tensor : file.tensors()) {
    const AdaptedLayer adapted = layer_adapted_by(tensor.name, layout);
    const std::optional<Target> target = targets.find(adapted.in_model);
    if (!target) {
      (adapted.path.empty() && !is_float(tensor.dtype) ? ignored : unmatched).add(tensor);
      continue;
    }
    if (adapted.is_frozen || done.contains(adapted.path)) continue;
    const WeightSlot& slot = target->weight->slot;
    if (layout == AdapterLayout::peft && slot.key.id == WeightId::embedding)
      refuse_embedding_of_peft(file, tensor, weights);
    LayerReader(file, tensor, adapted, *target, form_of(layout, kind_of(*target)))
        .read(config, adapter.weights[slot.name()]);
    done.insert(adapted.path);
  }
  if (unmatched.first != nullptr)
    throw Error(
        ErrorKind::format,
        fmt::format("{}: expected tensors of linear layers that this model has and that can "
                    "be adapted, got {}",
                    printable_path(file.file_name(*unmatched.first)),
                    fmt::join(unmatched.names, ", ")));
  if (adapter.weights.empty())
    throw Error(ErrorKind::format,
                "adapter: expected tensors PATH.lora_a and PATH.lora_b, got none");
  if (ignored.first != nullptr)
    warnings.push_back(fmt::format("{}: tensors that adapt nothing are ignored: {}",
                                   printable_path(file.file_name(*ignored.first)),
                                   fmt::join(ignored.names, ", ")));
  return adapter;
}

Adapter read_named_adapter(const std::filesystem::path& path, std::optional<double> scale,
                           const std::string& base, const std::vector<FoundWeight>& weights,
                           std::vector<std::string>& warnings) {
  const std::filesystem::path file_path = find_adapter(path);
  const Checkpoint file = Checkpoint::open(file_path);
  const AdapterLayout layout = layout_of_adapter(file);
  const std::string name = printable_path(file_path.string());
  if (const auto about = read_adapter_metadata(file.metadata(), name))
    if (std::string warning = other_base(*about, name, base); !warning.empty())
      warnings.push_back(std::move(warning));
  return read_adapter(file, layout, read_adapter_config(file_path, file.metadata(), layout, scale),
                      weights, warnings);
}

ChangeRows change_of(const LoraLayers& layers, std::int64_t n_rows, std::int64_t first_matrix) {
  return [&layers, n_rows, first_matrix, sums = std::vector<double>()](
             std::int64_t first_row, std::span<float> rows) mutable {
    if (layers.empty()) return;
    const auto n_in = static_cast<std::size_t>(layers.begin()->second.n_in);
    std::int64_t row = first_row;
    for (std::size_t at = 0; at < rows.size(); at += n_in, ++row)
      if (const auto layer = layers.find(first_matrix + row / n_rows); layer != layers.end())
        change_row(layer->second, row % n_rows, rows.subspan(at, n_in), sums);
  };
}

}  // namespace bitaxon
