#include "session/port_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bitaxon/error.h"
#include "session/port_random.h"

namespace bitaxon {
namespace {

/// Calls row(index, values) for each row of a piece.
template <class Row>
ReadElements by_rows(std::int64_t cols, Row row) {
  return [cols, row = std::move(row)](std::int64_t first, std::span<float> out) {
    const auto width = static_cast<std::size_t>(cols);
    for (std::size_t at = 0; at < out.size(); at += width)
      row((first + static_cast<std::int64_t>(at)) / cols, out.subspan(at, width));
  };
}

ReadElements constant(float value) {
  return [value](std::int64_t, std::span<float> out) { std::ranges::fill(out, value); };
}

ReadElements uniform(const WeightSlot& slot, std::uint64_t seed, double bound) {
  return [stream = RandomStream(seed, slot.name()), bound](
             std::int64_t first, std::span<float> out) { stream.fill_uniform(first, bound, out); };
}

/// The values of a weight without a source, as MLX begins its layers.
ReadElements initial_values(const WeightSlot& slot, std::uint64_t seed) {
  const Shape shape = matrix_shape(slot);
  const auto rows = static_cast<double>(shape[1]), cols = static_cast<double>(shape[2]);
  switch (slot.key.id) {
    case WeightId::mixer_norm:
    case WeightId::feed_forward_norm:
    case WeightId::skip:
      return constant(1);
    case WeightId::conv_bias:
      return constant(0);
    case WeightId::a_log:
      return by_rows(shape[2], [](std::int64_t, std::span<float> row) {
        for (std::size_t n = 0; n < row.size(); ++n) row[n] = std::log(static_cast<float>(n + 1));
      });
    case WeightId::conv_taps:
      return uniform(slot, seed, 1 / std::sqrt(rows * cols));
    case WeightId::dt_bias:  // the bias of a layer with one input
      return uniform(slot, seed, 1);
    default:
      return uniform(slot, seed, 1 / std::sqrt(cols));
  }
}

[[noreturn]] void refuse_shape(const std::string& name, const std::string& expected,
                               const SourceTensor& got) {
  throw Error(ErrorKind::format, fmt::format("source tensor \"{}\": expected {}, got [{}, {}]",
                                             name, expected, got.rows, got.cols));
}

/// Finds a tensor whose columns belong to the source's residual stream.
SourceTensor find_wide(const PortInputs& inputs, const std::string& name) {
  SourceTensor tensor = inputs.source.find(name);
  const std::int64_t width = inputs.spec.d_embedding;
  if (tensor.cols != width)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("source tensor \"{}\": expected the width {} that this model's "
                            "d_source_model names, got {}",
                            name, width, tensor.cols));
  return tensor;
}

ReadElements embedding_values(const PortInputs& inputs) {
  const std::string name = source_embedding();
  const SourceTensor source = find_wide(inputs, name);
  std::vector<std::int64_t> row_of(static_cast<std::size_t>(inputs.spec.vocab_size), -1);
  for (const auto& [from, to] : inputs.ids) {
    if (from < 0 || from >= source.rows)
      refuse_shape(name, fmt::format("a row for the tokenizer id {}", from), source);
    if (to < 0 || to >= inputs.spec.vocab_size)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("vocab_mapping: expected model ids below {}, got {}",
                              inputs.spec.vocab_size, to));
    row_of[static_cast<std::size_t>(to)] = from;
  }
  return by_rows(source.cols,
                 [=, row_of = std::move(row_of)](std::int64_t row, std::span<float> out) {
                   const std::int64_t from = row_of[static_cast<std::size_t>(row)];
                   if (from < 0)
                     std::ranges::fill(out, 0.0F);
                   else
                     source.read(from * source.cols, out);
                 });
}

ReadElements norm_values(const PortInputs& inputs, const std::string& name) {
  const SourceTensor source = find_wide(inputs, name);
  if (source.rows != 1) refuse_shape(name, "a vector", source);
  return by_rows(inputs.spec.d_model, [source](std::int64_t, std::span<float> out) {
    const auto n = std::min(out.size(), static_cast<std::size_t>(source.cols));
    source.read(0, out.first(n));
    std::ranges::fill(out.subspan(n), 1.0F);
  });
}

/// The upper left corner of a source matrix in a matrix of zeros.
struct Corner {
  SourceTensor source;
  std::int64_t rows, cols;  ///< of the part that is copied

  void read_row(std::int64_t row, std::span<float> out) const {
    const auto n = row < rows ? static_cast<std::size_t>(cols) : 0;
    if (n > 0) source.read(row * source.cols, out.first(n));
    std::ranges::fill(out.subspan(n), 0.0F);
  }
  /// The standard deviation of the part that is copied.
  double deviation() const {
    double sum = 0, squares = 0;
    std::vector<float> values(static_cast<std::size_t>(cols));
    for (std::int64_t row = 0; row < rows; ++row) {
      read_row(row, values);
      for (const float value : values) {
        sum += double{value};
        squares += double{value} * double{value};
      }
    }
    const double n = static_cast<double>(rows * cols), mean = sum / n;
    return std::sqrt(std::max(0.0, squares / n - mean * mean));
  }
};

const char* mlp_name(WeightId id) {
  switch (id) {
    case WeightId::experts_gate:
    case WeightId::shared_gate:
      return "gate";
    case WeightId::experts_up:
    case WeightId::shared_up:
      return "up";
    default:
      return "down";
  }
}

Corner corner_of(const WeightSlot& slot, const PortInputs& inputs) {
  const std::int64_t block = slot.key.block;
  const std::int64_t d_hidden =
      std::get<ExpertsSpec>(inputs.spec.block(block).feed_forward).d_hidden;
  const std::string which = mlp_name(slot.key.id);
  const std::string name = source_mlp(block, which.c_str());
  const std::int64_t width = inputs.spec.d_embedding;
  const std::int64_t kept = std::min(width, inputs.spec.d_model);
  if (which != "down") {
    const SourceTensor source = find_wide(inputs, name);
    if (source.rows < d_hidden)
      refuse_shape(name, fmt::format("at least {} rows", d_hidden), source);
    return {.source = source, .rows = d_hidden, .cols = kept};
  }
  const SourceTensor source = inputs.source.find(name);
  if (source.rows != width || source.cols < d_hidden)
    refuse_shape(name, fmt::format("[{}, at least {}]", width, d_hidden), source);
  return {.source = source, .rows = kept, .cols = d_hidden};
}

ReadElements expert_values(const WeightSlot& slot, const PortInputs& inputs) {
  const Shape shape = matrix_shape(slot);
  const Corner corner = corner_of(slot, inputs);
  const double deviation =
      inputs.expert_noise ? *inputs.expert_noise * corner.deviation() : kExpertNoise;
  const RandomStream stream(inputs.seed, slot.name());
  return by_rows(shape[2], [=, rows = shape[1]](std::int64_t row, std::span<float> out) {
    corner.read_row(row % rows, out);
    if (row < rows) return;  // the first expert is the shared expert itself
    std::vector<float> noise(out.size());
    stream.fill_normal(row * std::ssize(out), deviation, noise);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += noise[i];
  });
}

}  // namespace

PortRule rule_of(WeightId id) {
  switch (id) {
    case WeightId::embedding:
    case WeightId::head:
      return PortRule::vocab_extract;
    case WeightId::mixer_norm:
    case WeightId::feed_forward_norm:
      return PortRule::pad_norm;
    case WeightId::shared_gate:
    case WeightId::shared_up:
    case WeightId::shared_down:
      return PortRule::moe_project;
    case WeightId::experts_gate:
    case WeightId::experts_up:
    case WeightId::experts_down:
      return PortRule::copy_perturb;
    default:
      return PortRule::initial;
  }
}

std::string_view name_of(PortRule rule) {
  switch (rule) {
    case PortRule::vocab_extract:
      return "vocab_extract";
    case PortRule::pad_norm:
      return "pad_2048_2560";
    case PortRule::moe_project:
      return "moe_project";
    case PortRule::copy_perturb:
      return "copy_perturb";
    case PortRule::initial:
      break;
  }
  return "default";
}

std::vector<KeyMapping> build_key_mappings(const ModelSpec& spec) {
  if (spec.family != "bit_axon")
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[port] spec: expected a Bit-Axon model, got {}", spec.family));
  std::vector<KeyMapping> mappings;
  for (const WeightSlot& slot : weight_slots(spec)) {
    KeyMapping mapping{.target = slot.name(), .source = {}, .rule = rule_of(slot.key.id)};
    if (mapping.rule == PortRule::vocab_extract) mapping.source = source_embedding();
    if (slot.key.id == WeightId::mixer_norm) mapping.source = source_mixer_norm(slot.key.block);
    if (slot.key.id == WeightId::feed_forward_norm)
      mapping.source = source_feed_forward_norm(slot.key.block);
    if (mapping.rule == PortRule::moe_project)
      mapping.source = source_mlp(slot.key.block, mlp_name(slot.key.id));
    mappings.push_back(std::move(mapping));
  }
  return mappings;
}

ReadElements values_of(const WeightSlot& slot, const PortInputs& inputs) {
  switch (rule_of(slot.key.id)) {
    case PortRule::vocab_extract:
      return embedding_values(inputs);
    case PortRule::pad_norm:
      return norm_values(inputs, slot.key.id == WeightId::mixer_norm
                                     ? source_mixer_norm(slot.key.block)
                                     : source_feed_forward_norm(slot.key.block));
    case PortRule::moe_project:
      return by_rows(matrix_shape(slot)[2],
                     [corner = corner_of(slot, inputs)](std::int64_t row, std::span<float> out) {
                       corner.read_row(row, out);
                     });
    case PortRule::copy_perturb:
      return expert_values(slot, inputs);
    case PortRule::initial:
      break;
  }
  return initial_values(slot, inputs.seed);
}

}  // namespace bitaxon
