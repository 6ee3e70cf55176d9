// The description of a model, which is all that the engine knows about the model. Weights, state,
// graphs, memory needs and adapter targets derive from the description. The families
// (src/model/families) read descriptions from a config.json. Only the families know the keys of a
// config.json and the names of tensors.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bitaxon/export.h"

namespace bitaxon {

/// The limits of a value.
struct ClipRange {
  double low = 0;
  double high = 0;
  friend bool operator==(const ClipRange&, const ClipRange&) = default;
};

/// The RMS norms of the time step, B and C of a selective scan.
enum class InnerNorms : std::uint8_t { none, without_weights, with_weights };

/// A selective scan. Source: Gu & Dao 2023, "Mamba".
struct SelectiveScanSpec {
  std::int64_t d_inner = 0;  ///< channels
  std::int64_t d_state = 0;  ///< values of the recurrent state, per channel
  std::int64_t d_conv = 0;   ///< taps of the causal convolution in front of the scan
  /// The width of a row's time step before its projection to the channels. WeightId::scan_params
  /// then gives the time step, B and C. Empty if the time step of a row is one number. Then
  /// scan_params gives B, C and that number.
  std::optional<std::int64_t> dt_rank = {};
  std::optional<ClipRange> dt_clip = {};  ///< limits of the time step
  InnerNorms inner_norms = InnerNorms::none;
  double inner_norm_eps = 0;  ///< epsilon of the inner norms
  friend bool operator==(const SelectiveScanSpec&, const SelectiveScanSpec&) = default;
};

/// Rotary position embeddings. Sources: Su et al. 2021, "RoFormer"; Peng et al. 2023, "YaRN".
struct RotarySpec {
  /// How frequencies are scaled for texts that are longer than those of the training.
  enum class Scaling : std::uint8_t { none, linear, yarn };

  std::int64_t n_dims = 0;  ///< leading dimensions of a head that are rotated
  double base = 10000;
  Scaling scaling = Scaling::none;
  double factor = 1;  ///< for linear and yarn: by how much longer the texts are, > 0
  // For yarn only:
  std::int64_t original_positions = 0;  ///< the longest text of the training, in tokens
  double beta_fast = 32;                ///< turns per original text above which nothing is scaled
  double beta_slow = 1;                 ///< turns per original text below which all is scaled
  bool truncate = true;                 ///< round the borders between these two to whole dimensions
  /// Factor of all cosines and sines. Empty: computed from the next two or, without them, from
  /// `factor`.
  std::optional<double> attention_factor = {};
  std::optional<double> mscale = {};
  std::optional<double> mscale_all_dim = {};
  friend bool operator==(const RotarySpec&, const RotarySpec&) = default;
};

struct AttentionSpec {
  std::int64_t n_heads = 0;     ///< heads of queries
  std::int64_t n_kv_heads = 0;  ///< heads of keys and values
  std::int64_t head_dim = 0;
  /// The most positions that a row attends to, its own included. Empty if a row attends to every
  /// earlier position.
  std::optional<std::int64_t> window = {};
  std::optional<RotarySpec> rotary = {};
  friend bool operator==(const AttentionSpec&, const AttentionSpec&) = default;

  std::int64_t kv_dim() const { return n_kv_heads * head_dim; }
};

/// A SwiGLU. Source: Shazeer 2020, "GLU variants improve transformer".
struct DenseSpec {
  std::int64_t d_hidden = 0;
  friend bool operator==(const DenseSpec&, const DenseSpec&) = default;
};

/// A mixture of experts, each a SwiGLU.
struct ExpertsSpec {
  std::int64_t n_experts = 0;
  std::int64_t top_k = 0;  ///< experts that a row chooses
  std::int64_t d_hidden = 0;
  bool renormalizes = false;  ///< the gates of the chosen experts are divided by their sum
  bool has_shared = false;    ///< one more expert that every row uses, with a gate of its own
  friend bool operator==(const ExpertsSpec&, const ExpertsSpec&) = default;
};

using MixerSpec = std::variant<SelectiveScanSpec, AttentionSpec>;
using FeedForwardSpec = std::variant<std::monostate, DenseSpec, ExpertsSpec>;

/// A block of a model. It computes x = x + mixer(rms(x)), then x = x + feed_forward(rms(x)).
struct BlockSpec {
  std::string kind;  ///< the family's name for blocks of this form: "ssm_moe"
  MixerSpec mixer;
  FeedForwardSpec feed_forward = {};
  bool has_mixer_norm = true;
  bool has_feed_forward_norm = true;
  friend bool operator==(const BlockSpec&, const BlockSpec&) = default;
};

/// The weights that a model can have, in the order in which a model lists them. V, S and D are
/// named in ModelSpec. E is d_inner, N is d_state, K is d_conv, and R is dt_rank of
/// SelectiveScanSpec. A model has a bias, or a norm inside a mixer, if ModelSpec::names has it.
enum class WeightId : std::uint8_t {
  embedding,     ///< [V, S]
  input_bridge,  ///< [D, S]
  // The norm of a mixer, and the weights of a selective scan:
  mixer_norm,     ///< [D]
  scan_in,        ///< [2E, D]
  scan_in_bias,   ///< [2E]
  conv_taps,      ///< [E, K, 1] or [E, 1, K]
  conv_bias,      ///< [E]
  scan_params,    ///< [R + 2N, E], or [2N + 1, E] without dt_rank
  dt_norm,        ///< [R]
  b_norm,         ///< [N]
  c_norm,         ///< [N]
  dt_weight,      ///< [E, R], or [E, 1] without dt_rank
  dt_bias,        ///< [E]
  a_log,          ///< [E, N]
  skip,           ///< [E], "D" of the paper
  scan_out,       ///< [D, E]
  scan_out_bias,  ///< [D]
  // The weights of attention:
  query,               ///< [n_heads * head_dim, D]
  query_bias,          ///< [n_heads * head_dim]
  key,                 ///< [n_kv_heads * head_dim, D]
  key_bias,            ///< [n_kv_heads * head_dim]
  value,               ///< [n_kv_heads * head_dim, D]
  value_bias,          ///< [n_kv_heads * head_dim]
  query_norm,          ///< [head_dim], the norm of each head
  key_norm,            ///< [head_dim]
  attention_out,       ///< [D, n_heads * head_dim]
  attention_out_bias,  ///< [D]
  // The norm of a feed-forward part, and the weights of a SwiGLU (I is d_hidden):
  feed_forward_norm,  ///< [D]
  dense_gate,         ///< [I, D]
  dense_up,           ///< [I, D]
  dense_down,         ///< [D, I]
  // The weights of experts:
  router,         ///< [n_experts, D]
  experts_gate,   ///< [n_experts, I, D]
  experts_up,     ///< [n_experts, I, D]
  experts_down,   ///< [n_experts, D, I]
  shared_router,  ///< [1, D]
  shared_gate,    ///< [I, D]
  shared_up,      ///< [I, D]
  shared_down,    ///< [D, I]
  // The weights behind the last block:
  output_bridge,  ///< [S, D]
  final_norm,     ///< [S]
  head,           ///< [V, S]
};

/// Identifies one weight of a model.
struct WeightKey {
  WeightId id = WeightId::embedding;
  std::int64_t block = -1;  ///< -1: the weight belongs to no block
  friend auto operator<=>(const WeightKey&, const WeightKey&) = default;
};

struct ModelSpec {
  std::string family;            ///< "bit_axon"
  std::int64_t vocab_size = 0;   ///< V
  std::int64_t d_embedding = 0;  ///< S, width of embedding and head
  std::int64_t d_model = 0;      ///< D, width of the residual stream
  std::int64_t max_seq_len = 0;  ///< in tokens
  double norm_eps = 0;           ///< epsilon of every RMS norm
  bool has_bridges = false;      ///< projections from S to D and back; without them S = D
  bool has_final_norm = false;   ///< an RMS norm in front of the head
  bool has_tied_head = false;    ///< a checkpoint without a head uses the embedding as the head
  /// Quantizing follows mlx-lm and transformers: affine codes include the embedding, which then also
  /// is a tied head, and config.json describes the formats. Without this, quantizing follows the
  /// Bit-Axon program: the embedding keeps its floats, and a tied head becomes a copy with codes.
  bool quantizes_embedding = false;
  /// The id of the token in front of every text. Empty if texts begin without one.
  std::optional<std::int32_t> beginning;
  std::vector<std::int32_t> ends;  ///< end-of-sequence ids that config.json names
  std::vector<BlockSpec> blocks;
  /// The names that a checkpoint may use for each weight. Files are written with the first name. A
  /// name with `*` stands for one tensor per matrix of a stack of experts. The index of the matrix
  /// replaces `*`.
  std::map<WeightKey, std::vector<std::string>> names;
  std::set<WeightKey> optional;  ///< weights that a checkpoint may lack; the model then lacks them
  /// The text of a config.json with every key that the family reads. The model's fingerprint
  /// includes this text.
  std::string config;
  /// How the weights are quantized according to config.json, such as "gptq, 4 bits". Used in
  /// messages only, because the tensors themselves tell their format. Empty if config.json does not
  /// mention quantization.
  std::string quantization;
  /// The block of config.json that describes the quantization, as JSON text. The tensors are
  /// compared with it. Empty if config.json has no such block, and for Bit-Axon.
  std::string quantization_block = {};
  friend bool operator==(const ModelSpec&, const ModelSpec&) = default;

  std::int64_t n_blocks() const { return static_cast<std::int64_t>(blocks.size()); }
  const BlockSpec& block(std::int64_t index) const {
    return blocks[static_cast<std::size_t>(index)];
  }
};

/// Reads the description of a model from the text of its config.json. The key model_type names the
/// family. Without the key, the family is Bit-Axon. Each key that the family does not read adds a
/// line to `warnings`. Throws Error(format) that begins with `name` and names the key, the value
/// and what was expected. For an unknown model_type, throws Error(unsupported) that lists the known
/// families.
BX_API ModelSpec describe_model(std::string_view json, std::string_view name,
                                std::vector<std::string>& warnings);

/// The description of a preset for models of random weights. "small", "medium" and "bit-axon" (or
/// "default") are Bit-Axon's, the others have the shapes of published models. Throws
/// Error(invalid_argument) that lists the names for another name.
BX_API ModelSpec preset_spec(std::string_view name);
/// The names that preset_spec() knows.
BX_API std::vector<std::string_view> preset_names();

}  // namespace bitaxon
