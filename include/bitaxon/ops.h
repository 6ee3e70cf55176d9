// The manual of the ops: every function that records a node, with its full contract.
//
// Shapes: R, G and O are buckets (capacities). R counts rows, G counts segments, and O counts
// outputs, which are the rows whose logits are computed. The step buffer says how many of each are
// valid, and which row each output is. Activations are float32 unless said otherwise. Weights are
// [n_matrices, rows, cols] in any stored format, and vectors are [1, 1, n]. The shape of a state
// tensor is the shape of one slot. Each segment of the step has a slot, a read version and a write
// version. It reads its slot's state at the read version and writes it at the write version. A
// segment whose position is 0 reads all state as zeros. The rows of a segment are consecutive.
//
// All functions throw Error(invalid_argument) "[op] argument: expected ..., got ..." if a shape or
// dtype does not fit, or if the graph has been scheduled already.
#pragma once

#include <cstdint>
#include <optional>

#include "bitaxon/export.h"
#include "bitaxon/tensor.h"

namespace bitaxon {

/// Looks up token embeddings, and records which tokens the context holds.
///   y[r, :] = table[id[r], :];   seen = seen | {id[r]}
/// The ids are in the step buffer. A segment with ids_from_state has one id, which is the token
/// that the previous step sampled and stored in next_token. An id outside [0, V) gives zeros and is
/// not recorded.
/// table       [1, V, S]
/// seen        state, u32 [ceil(V / 32)], versioned: bit id%32 of word id/32
/// next_token  state, i32 [1], versioned
/// n_rows      R, 1 to kMaxRows
/// Returns [R, S].
BX_API Tensor embed(const Tensor& table, const Tensor& seen, const Tensor& next_token,
                    std::int64_t n_rows);

/// Which rows of its argument an op computes.
enum class RowSelect : std::uint32_t {
  all,      ///< every row: [R, ...] to [R, ...]
  outputs,  ///< the row of each output: [R, ...] to [O, ...]
};

struct LinearOptions {
  Tensor norm{};      ///< weight [1, 1, cols] of an RMS norm of x, or empty for no norm
  float eps = 0;      ///< epsilon of the norm, > 0
  Tensor bias{};      ///< weight [1, 1, rows], added to each product, or empty to add nothing
  Tensor residual{};  ///< [R, rows], added to the result, or empty to add nothing
  RowSelect select = RowSelect::all;
  std::int64_t n_outputs = 1;  ///< O, for RowSelect::outputs
};

/// A matrix product, with an optional RMS norm before it, and an optional bias and an optional
/// residual added after it.
///   y[r, o] = sum_c w[o, c] * n(x[r, :cols])[c] + bias[o] + residual[r, o]
///   n(v)[c] = norm[c] * v[c] / sqrt(mean(v^2) + eps), or v[c] without a norm
/// x       [R, width], width >= cols. The product and its norm read the first `cols` columns.
/// weight  [1, rows, cols]
/// Returns [R, rows], or [O, rows] for RowSelect::outputs (which takes no residual).
/// Accumulates in float32 or better.
/// Source  Zhang & Sennrich 2019, "Root mean square layer normalization", eq. 4.
BX_API Tensor linear(const Tensor& x, const Tensor& weight, const LinearOptions& options = {});

struct SwigluWeights {
  Tensor norm{};  ///< [1, 1, D], or empty if n(x) is x
  Tensor gate;    ///< [1, I, D]
  Tensor up;      ///< [1, I, D]
};

/// The first half of a gated feed-forward layer: an optional RMS norm, then SwiGLU.
///   y[r] = silu(gate @ n(x[r])) * (up @ n(x[r]))
///   n(v)[c] = norm[c] * v[c] / sqrt(mean(v^2) + eps), or v[c] without a norm
/// x    [R, D]
/// eps  epsilon of the norm, > 0 if there is a norm
/// Returns [R, I].
/// Source  Shazeer 2020, "GLU variants improve transformer".
BX_API Tensor swiglu(const Tensor& x, const SwigluWeights& weights, float eps);

struct SsmInWeights {
  Tensor norm{};       ///< [1, 1, D], or empty if rms(x) is x
  Tensor in_proj;      ///< [1, 2E, D]
  Tensor in_bias{};    ///< [1, 1, 2E], or empty for zeros
  Tensor conv_weight;  ///< [1, E, K], tap K-1 is the current row
  Tensor conv_bias{};  ///< [1, 1, E], or empty for zeros
};
struct SsmInResult {
  Tensor u;  ///< [R, E]
  Tensor z;  ///< [R, E]
};

/// The input half of a selective state-space layer.
///   v, z = split(in_proj @ rms(x) + in_bias)
///   u[r, e] = silu(conv_bias[e] + sum_k conv_weight[e, k] * v[r - (K-1) + k, e])
/// Rows of v before the segment's first row come from the state. The last K-1 rows of v become the
/// new state.
/// x     [R, D]
/// tail  state, f32 [K-1, E], versioned, oldest first
/// Returns u and z, [R, E] each.
/// Source  Gu & Dao 2023, "Mamba", section 3.4.
BX_API SsmInResult ssm_in(const Tensor& x, const SsmInWeights& weights, float eps,
                          const Tensor& tail);

struct SelectiveScanWeights {
  Tensor dt_weight{};  ///< [1, E, 1] if the time step has rank 1, else empty
  Tensor dt_bias;      ///< [1, 1, E]
  Tensor a_log;        ///< [1, E, N]
  Tensor skip;         ///< [1, 1, E], "D" of the paper
  Tensor b_norm{};     ///< [1, 1, N]: weight of an RMS norm of B, or empty for no norm
  Tensor c_norm{};     ///< [1, 1, N]: the same for C. Present exactly when b_norm is
};

/// Bounds of the time step: 0 <= least <= most.
struct TimeStepClip {
  float least = 0;
  float most = 0;
};

struct SelectiveScanOptions {
  std::optional<TimeStepClip> clip{};  ///< the bounds of dt; none leaves dt as softplus gives it
  float eps = 0;                       ///< epsilon of b_norm and c_norm, > 0 if they are present
};

/// The recurrence of a selective state-space layer, with its gate.
///   raw[t, e] = dt[t, e], or r[t] * dt_weight[e] if the time step has rank 1
///   dt'[t, e] = clip(softplus(raw[t, e] + dt_bias[e]))
///   B'[t] = b_norm * B[t] / sqrt(mean(B[t]^2) + eps), or B[t] without norms; C' likewise
///   h_t[n, e] = exp(-exp(a_log[e, n]) * dt'[t, e]) * h_{t-1}[n, e] + dt'[t, e] * u[t, e] * B'[t, n]
///   y[t, e] = (sum_n h_t[n, e] * C'[t, n] + skip[e] * u[t, e]) * silu(z[t, e])
/// u, z    [R, E]
/// params  with dt: [R, W], W >= 2N; the last 2N columns are B and C, and other columns are ignored.
///         With a time step of rank 1: [R, 2N + 1], which is B, C and r
/// dt      [R, E]: the time step before its bias and softplus. Empty if the time step has rank 1
/// h       state, f32 [N, E], versioned; channels are innermost, so that adjacent lanes of a
///         subgroup read adjacent memory
/// Returns [R, E].
/// The recurrence is computed in float32 or better, and h is rounded to float32 after every row. So
/// the result does not depend on how rows are grouped into steps. There is one exception: a backend
/// may cut long steps (256 rows and more) into chunks that run at the same time. With chunks, h is
/// rounded in another order.
/// Source  Gu & Dao 2023, "Mamba", algorithm 2.
BX_API Tensor selective_scan(const Tensor& u, const Tensor& params, const Tensor& dt,
                             const Tensor& z, const SelectiveScanWeights& weights,
                             const SelectiveScanOptions& options, const Tensor& h);

struct AttnInWeights {
  Tensor norm;      ///< [1, 1, D], or empty if rms(x) is x
  Tensor q;         ///< [1, Hq * d, D]
  Tensor k;         ///< [1, Hk * d, D]
  Tensor v;         ///< [1, Hk * d, D]
  Tensor q_bias{};  ///< [1, 1, Hq * d], or empty to add nothing
  Tensor k_bias{};  ///< [1, 1, Hk * d], or empty
  Tensor v_bias{};  ///< [1, 1, Hk * d], or empty
  Tensor q_norm{};  ///< [1, 1, d]: weight of an RMS norm of each head of q, or empty for no norm
  Tensor k_norm{};  ///< [1, 1, d]: the same for k, or empty
  Tensor rotary{};  ///< f32 [1, positions, d]: the rotary table, or empty for no rotation
};

/// Computes queries, and appends keys and values to the KV cache.
///   q = turn(q_proj @ rms(x) + q_bias, q_norm)
///   keys[p] = turn(k_proj @ rms(x) + k_bias, k_norm), where p is the row's position
///   values[p] = v_proj @ rms(x) + v_bias
/// turn(h, norm) is computed for each head h of d elements. It first normalizes the head, then
/// rotates it by its position. Without a norm or a table, that part is left out.
///   n[i] = norm[i] * h[i] / sqrt(mean(h^2) + eps)
///   turn[i] = n[i] * cos[p, i] - n[i + d/2] * sin[p, i]   for i < d/2
///   turn[i + d/2] = n[i + d/2] * cos[p, i] + n[i] * sin[p, i]
/// The rotary table holds the pairs (cos[p, i], sin[p, i]) for i < d/2. A row at a position outside
/// the table gets NaN. The width d of a head is needed only for norms and rotation. It is the width
/// of these operands.
/// x             [R, D]
/// keys, values  state in pages, f32 or f16 [BX_PAGE_ROWS, Hk * d] each. The step buffer says which
///               page has the rows of which positions.
/// Returns q [R, Hq * d].
/// Source  Su et al. 2021, "RoFormer", section 3.4.2, with pairs (i, i + d/2) instead of neighbors.
BX_API Tensor attn_in(const Tensor& x, const AttnInWeights& weights, float eps, const Tensor& keys,
                      const Tensor& values);

struct AttentionForm {
  std::int64_t n_heads = 1;     ///< Hq, heads of queries
  std::int64_t n_kv_heads = 1;  ///< Hk, heads of keys and values; a divisor of Hq
  /// The most positions that a row attends to, its own included. Empty if a row attends to every
  /// earlier position.
  std::optional<std::int64_t> window = {};
};

/// Causal attention, over a sliding window or over all earlier positions. Keys and values come from
/// the pages that attn_in fills. Each head of keys serves Hq / Hk adjacent heads of queries.
///   scores[j] = dot(q[i, n], keys[j, n / (Hq / Hk)]) / sqrt(d)   for j <= i and i - j < window
///   y[i, n] = sum_j softmax(scores)[j] * values[j, n / (Hq / Hk)]
/// q             [R, Hq * d]
/// keys, values  state in pages, f32 or f16 [BX_PAGE_ROWS, Hk * d] each; read only
/// Returns [R, Hq * d].
/// Source  Beltagy et al. 2020, "Longformer", section 3.1 (sliding window); Ainslie et al. 2023,
/// "GQA" (grouped heads).
BX_API Tensor attention(const Tensor& q, const Tensor& keys, const Tensor& values,
                        const AttentionForm& form);

struct MoeRouteResult {
  Tensor normed;   ///< [R, D]: rms(x)
  Tensor experts;  ///< i32 [R, top_k]: the chosen experts, largest gate first
  Tensor gates;    ///< [R, top_k + 1]: the gates of these experts, then the shared expert's or 0
};

/// The router of a mixture of experts.
///   g = softmax(gate @ rms(x)); experts = top_k largest of g; ties: lower index first
///   gates = g[experts], sigmoid(shared_gate @ rms(x))
/// With `renormalize`, the gates of the chosen experts are divided by their sum. The gate of the
/// shared expert stays as it is.
/// x            [R, D]
/// norm         [1, 1, D], or empty if rms(x) is x
/// gate         [1, X, D]
/// shared_gate  [1, 1, D], or empty
/// Returns normed [R, D], experts i32 [R, top_k], gates [R, top_k + 1].
BX_API MoeRouteResult moe_route(const Tensor& x, const Tensor& norm, float eps, const Tensor& gate,
                                const Tensor& shared_gate, std::int64_t top_k,
                                bool renormalize = false);

struct MoeSwigluWeights {
  Tensor gate;         ///< [X, I, D]
  Tensor up;           ///< [X, I, D]
  Tensor shared_gate;  ///< [1, I, D], or empty
  Tensor shared_up;    ///< [1, I, D], or empty
};

/// The first half of the chosen experts and of the shared expert: gate and up projections, SwiGLU.
///   y[r, s, :] = silu(gate[e] @ x[r]) * (up[e] @ x[r]),  e = experts[r, s]
///   y[r, top_k, :] = the same with the shared expert
/// x        [R, D]
/// experts  i32 [R, top_k]
/// Returns [R, top_k + 1, I], or [R, top_k, I] without a shared expert.
/// Source  Shazeer 2020, "GLU variants improve transformer".
BX_API Tensor moe_swiglu(const Tensor& x, const Tensor& experts, const MoeSwigluWeights& weights);

/// The second half of the experts: down projection, weighted sum, residual.
///   y[r] = residual[r] + sum_s gates[r, s] * (down[experts[r, s]] @ act[r, s])
///        + gates[r, top_k] * (shared_down @ act[r, top_k])
/// act          [R, slots, I] from moe_swiglu
/// experts      i32 [R, top_k]
/// gates        [R, top_k + 1]
/// down         [X, D, I]
/// shared_down  [1, D, I], or empty
/// residual     [R, D]
/// Returns [R, D].
BX_API Tensor moe_down(const Tensor& act, const Tensor& experts, const Tensor& gates,
                       const Tensor& down, const Tensor& shared_down, const Tensor& residual);

/// The stages that a sampler includes. The parameters of the stages are data in the step buffer. A
/// stage that is false here does not run, whatever its parameters are.
struct SamplerStructure {
  bool penalty = false;  ///< repetition penalty
  bool draw = false;     ///< temperature, filters and the random draw; otherwise argmax
  friend bool operator==(const SamplerStructure&, const SamplerStructure&) = default;
};

/// Draws one token for each segment that samples. The stages are repetition penalty, temperature,
/// top-k, top-p, min-p, then one Philox4x32-10 draw. All arithmetic after the scaled logits is in
/// integers (docs/sampling.md).
/// logits      [O, V]; the step buffer says which output gives the token of a segment
/// seen        state, u32 [ceil(V / 32)], versioned; read at the write version, which embed has
///             filled earlier in the step
/// next_token  state, i32 [1], versioned; the token is stored at the write version, unless the
///             segment samples nothing
/// n_segments  G, 1 to kMaxSegments
/// Returns i32 [G]: the token of each segment. It is StepResult::kNotFinite if a logit is NaN or if
/// the largest logit is not finite, and StepResult::kNotSampled if the segment samples nothing.
/// Source  Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox).
BX_API Tensor sample(const Tensor& logits, const Tensor& seen, const Tensor& next_token,
                     const SamplerStructure& structure, std::int64_t n_segments);

}  // namespace bitaxon
