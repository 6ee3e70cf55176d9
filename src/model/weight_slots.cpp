// The list of a model's weights, and what is known of each weight without a file.
#include <fmt/format.h>

#include "model/weights.h"

namespace bitaxon {
namespace {

/// Builds the list of a model's slots.
class SlotList {
 public:
  explicit SlotList(const ModelSpec& spec) : spec_(spec) {}

  std::vector<WeightSlot> build() {
    const std::int64_t d_embedding = spec_.d_embedding;
    add(WeightId::embedding, WeightRole::matrix, {spec_.vocab_size, d_embedding});
    if (spec_.has_bridges)
      add(WeightId::input_bridge, WeightRole::matrix, {spec_.d_model, d_embedding});
    for (block_ = 0; block_ < spec_.n_blocks(); ++block_) add_block(spec_.block(block_));
    block_ = -1;
    if (spec_.has_bridges)
      add(WeightId::output_bridge, WeightRole::matrix, {d_embedding, spec_.d_model});
    if (spec_.has_final_norm) add(WeightId::final_norm, WeightRole::vector, {d_embedding});
    add(WeightId::head, WeightRole::matrix, {spec_.vocab_size, d_embedding});
    return std::move(slots_);
  }

 private:
  void add(WeightId id, WeightRole role, Shape shape, std::int64_t chosen_of = 0) {
    const WeightKey key{id, block_};
    // The original program names the biases of a stack in its own way.
    const bool renamed = role == WeightRole::experts && !spec_.quantizes_embedding;
    slots_.push_back(
        {key, role, spec_.names.at(key), shape, chosen_of, renamed ? ".biases_quant" : ".biases"});
  }

  void add_block(const BlockSpec& block) {
    if (block.has_mixer_norm) add(WeightId::mixer_norm, WeightRole::vector, {spec_.d_model});
    std::visit([&](const auto& mixer) { add_mixer(mixer); }, block.mixer);
    if (block.feed_forward.index() == 0) return;
    if (block.has_feed_forward_norm)
      add(WeightId::feed_forward_norm, WeightRole::vector, {spec_.d_model});
    std::visit([&](const auto& feed_forward) { add_feed_forward(feed_forward); },
               block.feed_forward);
  }

  /// Adds a vector that only some models have.
  void add_if_named(WeightId id, std::int64_t size) {
    if (spec_.names.contains({id, block_})) add(id, WeightRole::vector, {size});
  }

  void add_mixer(const SelectiveScanSpec& scan) {
    const std::int64_t rank = scan.dt_rank.value_or(1);
    add(WeightId::scan_in, WeightRole::matrix, {2 * scan.d_inner, spec_.d_model});
    add_if_named(WeightId::scan_in_bias, 2 * scan.d_inner);
    add(WeightId::conv_taps, WeightRole::taps, {scan.d_inner, scan.d_conv, 1});
    add_if_named(WeightId::conv_bias, scan.d_inner);
    add(WeightId::scan_params, WeightRole::matrix, {rank + 2 * scan.d_state, scan.d_inner});
    add_if_named(WeightId::dt_norm, rank);
    add_if_named(WeightId::b_norm, scan.d_state);
    add_if_named(WeightId::c_norm, scan.d_state);
    add(WeightId::dt_weight, scan.dt_rank ? WeightRole::matrix : WeightRole::table,
        {scan.d_inner, rank});
    add(WeightId::dt_bias, WeightRole::vector, {scan.d_inner});
    add(WeightId::a_log, WeightRole::table, {scan.d_inner, scan.d_state});
    add(WeightId::skip, WeightRole::vector, {scan.d_inner});
    add(WeightId::scan_out, WeightRole::matrix, {spec_.d_model, scan.d_inner});
    add_if_named(WeightId::scan_out_bias, spec_.d_model);
  }

  void add_mixer(const AttentionSpec& attention) {
    const std::int64_t d_query = attention.n_heads * attention.head_dim;
    add(WeightId::query, WeightRole::matrix, {d_query, spec_.d_model});
    add_if_named(WeightId::query_bias, d_query);
    add(WeightId::key, WeightRole::matrix, {attention.kv_dim(), spec_.d_model});
    add_if_named(WeightId::key_bias, attention.kv_dim());
    add(WeightId::value, WeightRole::matrix, {attention.kv_dim(), spec_.d_model});
    add_if_named(WeightId::value_bias, attention.kv_dim());
    add_if_named(WeightId::query_norm, attention.head_dim);
    add_if_named(WeightId::key_norm, attention.head_dim);
    add(WeightId::attention_out, WeightRole::matrix, {spec_.d_model, d_query});
    add_if_named(WeightId::attention_out_bias, spec_.d_model);
  }

  void add_feed_forward(std::monostate) {}
  void add_feed_forward(const DenseSpec& dense) {
    add(WeightId::dense_gate, WeightRole::matrix, {dense.d_hidden, spec_.d_model});
    add(WeightId::dense_up, WeightRole::matrix, {dense.d_hidden, spec_.d_model});
    add(WeightId::dense_down, WeightRole::matrix, {spec_.d_model, dense.d_hidden});
  }
  void add_feed_forward(const ExpertsSpec& experts) {
    const std::int64_t n = experts.n_experts;
    const Shape up{n, experts.d_hidden, spec_.d_model};
    add(WeightId::router, WeightRole::matrix, {n, spec_.d_model});
    add(WeightId::experts_gate, WeightRole::experts, up, experts.top_k);
    add(WeightId::experts_up, WeightRole::experts, up, experts.top_k);
    add(WeightId::experts_down, WeightRole::experts, {n, spec_.d_model, experts.d_hidden},
        experts.top_k);
    if (!experts.has_shared) return;
    add(WeightId::shared_router, WeightRole::matrix, {1, spec_.d_model});
    add(WeightId::shared_gate, WeightRole::matrix, {experts.d_hidden, spec_.d_model});
    add(WeightId::shared_up, WeightRole::matrix, {experts.d_hidden, spec_.d_model});
    add(WeightId::shared_down, WeightRole::matrix, {spec_.d_model, experts.d_hidden});
  }

  const ModelSpec& spec_;
  std::int64_t block_ = -1;
  std::vector<WeightSlot> slots_;
};

}  // namespace

WeightDesc with_matrix_shape(WeightDesc desc, const WeightSlot& slot) {
  const Shape shape = matrix_shape(slot);
  desc.n_matrices = shape[0];
  desc.rows = shape[1];
  desc.cols = shape[2];
  return desc;
}

Shape matrix_shape(const WeightSlot& slot) {
  const Shape& shape = slot.shape;
  switch (slot.role) {
    case WeightRole::vector:
      return {1, 1, shape[0]};
    case WeightRole::experts:
      return shape;
    case WeightRole::table:
    case WeightRole::taps:
    case WeightRole::matrix:
      return {1, shape[0], shape[1]};
  }
  return shape;
}

std::vector<WeightSlot> weight_slots(const ModelSpec& spec) { return SlotList(spec).build(); }

std::vector<UnitNorm> unit_norms(const ModelSpec& spec) {
  std::vector<UnitNorm> norms;
  for (std::int64_t i = 0; i < spec.n_blocks(); ++i) {
    const auto* scan = std::get_if<SelectiveScanSpec>(&spec.block(i).mixer);
    if (scan == nullptr || scan->inner_norms != InnerNorms::without_weights) continue;
    const auto add = [&](WeightId id, std::string_view name, std::int64_t size) {
      WeightDesc desc;
      desc.name = fmt::format("unit norm of {} in block {}", name, i);
      desc.cols = size;
      norms.push_back({{id, i}, std::move(desc)});
    };
    add(WeightId::dt_norm, "dt", scan->dt_rank.value_or(1));
    add(WeightId::b_norm, "B", scan->d_state);
    add(WeightId::c_norm, "C", scan->d_state);
  }
  return norms;
}

std::string_view part_of(WeightId id) {
  switch (id) {
    case WeightId::embedding:
      return "embedding";
    case WeightId::head:
      return "head";
    case WeightId::input_bridge:
    case WeightId::output_bridge:
      return "bridge";
    case WeightId::scan_in:
    case WeightId::scan_in_bias:
    case WeightId::conv_taps:
    case WeightId::conv_bias:
    case WeightId::scan_params:
    case WeightId::dt_weight:
    case WeightId::dt_bias:
    case WeightId::a_log:
    case WeightId::skip:
    case WeightId::scan_out:
    case WeightId::scan_out_bias:
      return "ssm";
    case WeightId::query:
    case WeightId::query_bias:
    case WeightId::key:
    case WeightId::key_bias:
    case WeightId::value:
    case WeightId::value_bias:
    case WeightId::attention_out:
    case WeightId::attention_out_bias:
      return "attention";
    case WeightId::dense_gate:
    case WeightId::dense_up:
    case WeightId::dense_down:
      return "mlp";
    case WeightId::router:
    case WeightId::shared_router:
      return "router";
    case WeightId::experts_gate:
    case WeightId::experts_up:
    case WeightId::experts_down:
      return "experts";
    case WeightId::shared_gate:
    case WeightId::shared_up:
    case WeightId::shared_down:
      return "shared expert";
    case WeightId::mixer_norm:
    case WeightId::dt_norm:
    case WeightId::b_norm:
    case WeightId::c_norm:
    case WeightId::query_norm:
    case WeightId::key_norm:
    case WeightId::feed_forward_norm:
    case WeightId::final_norm:
      break;
  }
  return "norms";
}

bool is_tied_head(const ModelSpec& spec, const WeightSlot& slot) {
  return slot.key.id == WeightId::head && spec.has_tied_head;
}

}  // namespace bitaxon
