// The manual of the ops that adapters and training need. ops.h explains the notation: R rows,
// O outputs, weights [n_matrices, rows, cols], state.
//
// Gradients. A backward op takes gradients of the loss and returns gradients of the loss. g_y is the
// gradient of y. Steps run backwards through a sequence. What they hand on from one step to the
// earlier one is a *carry*: a state tensor with two versions. A backward op reads a carry at version
// write_version % 2 and writes it at version read_version % 2. If a segment keeps no state, its
// sequence ends in this step, and the carry is read as zeros. If the position of a segment is 0, no
// earlier step needs the carry, and it is not written.
//
// Shared state. A state tensor of kind StateKind::shared exists once, for all sequences: a vector
// [1, n] of adapter parameters or of their gradients, or a *store* [capacity, ...] of rows. Row r
// of a step is row StepBuffer::store_row + r of a store.
//
// All sums over rows are computed in ascending order, so no result depends on the number of threads.
#pragma once

#include <cstdint>

#include "bitaxon/export.h"
#include "bitaxon/ops.h"
#include "bitaxon/tensor.h"

namespace bitaxon {

/// RMS norm of the first D columns of x.
///   y[r, c] = norm[c] * x[r, c] / sqrt(mean(x[r, :D]^2) + eps)
/// x     [R, >= D]
/// norm  [1, 1, D]
/// Returns [R, D].
BX_API Tensor rms_norm(const Tensor& x, const Tensor& norm, float eps);
/// The gradient of rms_norm.
///   rho = 1 / sqrt(mean(x^2) + eps);  g_x = rho * norm * g_y - x * rho^3 * mean(norm * g_y * x)
/// over the first D columns. The gradient of the other columns is 0.
/// g_y  [R, D]
/// Returns g_x, of the shape of x.
BX_API Tensor rms_norm_backward(const Tensor& x, const Tensor& norm, float eps, const Tensor& g_y);

/// The sum of two activations of one shape.
/// Returns a + b.
BX_API Tensor add(const Tensor& a, const Tensor& b);

/// The product of SwiGLU: y = silu(gate) * up.
/// gate, up  [R, ...], of one shape
/// Returns y, of the same shape.
BX_API Tensor silu_mul(const Tensor& gate, const Tensor& up);
struct SiluMulGradients {
  Tensor gate, up;
};
/// The gradients of silu_mul.
///   g_gate = g_y * up * silu'(gate), g_up = g_y * silu(gate)
///   silu'(a) = s * (1 + a * (1 - s)), s = sigmoid(a)
/// Returns both, of the shape of g_y.
BX_API SiluMulGradients silu_mul_backward(const Tensor& gate, const Tensor& up, const Tensor& g_y);

/// Adds rows that are multiplied by one of their gates: y[r] = x[r] + gates[r, column] * b[r].
/// x, b   [R, D]
/// gates  [R, C]
/// Returns y [R, D].
BX_API Tensor add_gated(const Tensor& x, const Tensor& b, const Tensor& gates, std::int64_t column);
struct AddGatedGradients {
  Tensor b;      ///< [R, D]: gates[r, column] * g_y[r]
  Tensor gates;  ///< [R, C]: dot(g_y[r], b[r]) in this column, and 0 in the others
};
/// The gradients of add_gated. The gradient of x is g_y.
/// Returns the gradients of b and gates.
BX_API AddGatedGradients add_gated_backward(const Tensor& b, const Tensor& gates,
                                            std::int64_t column, const Tensor& g_y);

/// Reads rows of a store: y[r] = store[store_row + r]. With RowSelect::outputs,
/// y[o] = store[output_rows[o]]: in such a step, output_rows counts rows of the store.
/// store   shared state, f32 or i32 [capacity, ...]
/// n_rows  R, or O for RowSelect::outputs
/// Returns [R, ...] or [O, ...], of the dtype of the store.
BX_API Tensor load_rows(const Tensor& store, std::int64_t n_rows,
                        RowSelect select = RowSelect::all);
/// Writes rows of a store: store[store_row + r] = x[r]. If x has rows of outputs,
/// store[output_rows[o]] = x[o].
/// x      [R, ...] or [O, ...], of the dtype of the store
/// store  shared state, f32 or i32 [capacity, ...]
/// Returns nothing.
BX_API void save_rows(const Tensor& x, const Tensor& store);

/// The gradient of the product of linear: g_x[r, c] = sum_o g_y[r, o] * w[o, c] for c < cols, and 0
/// for cols <= c < width.
/// g_y     [R, rows] or [O, rows]
/// weight  [1, rows, cols]
/// width   columns of x, >= cols
/// Returns g_x [R, width] or [O, width].
/// Accumulates in float32 or better, over o in ascending order. The weight is decoded exactly.
BX_API Tensor linear_backward(const Tensor& g_y, const Tensor& weight, std::int64_t width);

/// How dropout chooses the elements that it keeps.
struct DropoutParams {
  float p = 0;              ///< the share of elements that become 0; 0 <= p < 1
  std::uint32_t index = 0;  ///< numbers the layers
  std::uint32_t seed_low = 0, seed_high = 0;
  std::uint32_t first_column = 0;  ///< of the layer in `masks`
};

/// Dropout: y = x / (1 - p) for elements that are kept, and 0 for the others.
/// Element c of a row is kept if word c % 4 of Philox4x32-10 has (word >> 8) * 2^-24 >= p, with the
/// key (seed_low, index) and the counter
/// (c / 4, micro_row + r - first_row + position, micro_batch, seed_high), with the numbers of the
/// row's segment (SegmentWords). With `masks`, an element is kept if its mask is not 0: the element
/// (store_row + r, first_column + c) of `masks`.
/// x      [R, cols], rows of tokens
/// masks  shared state, f32 [capacity, columns], or empty to draw the masks
/// Returns y [R, cols]. The gradient is the dropout of g_y with the same numbers.
/// Source  Srivastava et al. 2014, "Dropout".
BX_API Tensor dropout(const Tensor& x, const DropoutParams& params, const Tensor& masks = {});

/// The place of one layer's parameters in the vector of all parameters, and the form of its adapter.
/// Offsets count elements.
struct AdapterPlace {
  std::uint32_t a = 0;     ///< A [in, rank]
  std::uint32_t b = 0;     ///< B [rank, out]
  std::uint32_t m = 0;     ///< DoRA's m [out]; unused for LoRA
  std::uint32_t norm = 0;  ///< the place of n [out] in the vector of norms; unused for LoRA
  std::uint32_t rank = 0;
  std::uint32_t is_dora = 0;
  float scale = 0;
};

struct AdapterOptions {
  Tensor bias{};      ///< weight [1, 1, out], or empty to add nothing
  Tensor residual{};  ///< [R, out], or empty to add nothing
};

/// Completes a linear layer that has an adapter.
///   o = base + scale * (x A) B
///   y = (m / n) * o + bias + residual for DoRA, and o + bias + residual for LoRA
/// The factor m / n is 1 where n is 0.
/// x           [R, in]: the input of the layer, after dropout
/// base        [R, out]: the product of the input with the weight of the layer
/// parameters  shared state, f32 [1, n]
/// norms       shared state, f32 [1, n_norms]; unused for LoRA, and may be empty
/// Returns y [R, out].
/// Source  Hu et al. 2021, "LoRA"; Liu et al. 2024, "DoRA".
BX_API Tensor adapter(const Tensor& x, const Tensor& base, const Tensor& parameters,
                      const Tensor& norms, const AdapterPlace& place,
                      const AdapterOptions& options = {});
struct AdapterGradients {
  Tensor base;  ///< [R, out]: g_o = (m / n) * g_y; the tensor g_y itself for LoRA
  Tensor x;     ///< [R, in]: the part of g_x that goes through the adapter
};
/// The gradients of adapter, with n constant. Adds the gradients of A, B and m to `gradients`.
///   u = x A;  t = scale * g_o B^T
///   g_m += colsum(g_y * o) / n (0 where n is 0);  g_B += scale * u^T g_o;  g_A += x^T t
///   g_x = t A^T
/// base        [R, out] for DoRA; empty for LoRA
/// gradients   shared state, f32 [1, n], in the order of `parameters`
/// Returns g_o and g_x. Bias is constant, and the gradient of the residual is g_y.
BX_API AdapterGradients adapter_backward(const Tensor& x, const Tensor& base,
                                         const Tensor& parameters, const Tensor& norms,
                                         const AdapterPlace& place, const Tensor& g_y,
                                         const Tensor& gradients);
/// The norms of DoRA, once per update: n[k] = || W[k, :] + scale * (A B)^T[k, :] ||, with sums of
/// squares in float64 or in float32 with an error below 1e-6.
/// weight  [1, out, in]
/// norms   shared state; n is written at place.norm
/// Returns nothing.
BX_API void dora_norms(const Tensor& weight, const Tensor& parameters, const Tensor& norms,
                       const AdapterPlace& place);

struct SsmConvResult {
  Tensor u;  ///< [R, E]
  Tensor z;  ///< [R, E]
};
/// The second part of ssm_in: the convolution, after the product v, z = in_proj(rms(x)).
///   u[r, e] = silu(conv_bias[e] + sum_k conv_weight[e, k] * v[r - (K-1) + k, e])
/// Rows of v before the segment's first row come from the state. The last K-1 rows of v become the
/// new state, if the segment keeps its state.
/// vz           [R, 2E]: v, then z
/// conv_weight  [1, E, K]
/// conv_bias    [1, 1, E], or empty
/// tail         state, f32 [K-1, E], versioned, oldest first
/// Returns u and z, [R, E] each.
BX_API SsmConvResult ssm_conv(const Tensor& vz, const Tensor& conv_weight, const Tensor& conv_bias,
                              const Tensor& tail);
/// The gradient of ssm_conv. The convolution is computed again.
///   g_a[r, e] = g_u[r, e] * silu'(a[r, e]);  g_v[r, e] = sum_k conv_weight[e, k] * g_a[r+K-1-k, e]
/// Rows of g_a behind the segment come from the carry, or are 0.
/// tail   state: read at the read version, as ssm_conv does
/// carry  carry, f32 [K-1, E]: the first K-1 rows of g_a of the next step, in order. A step with fewer
///        rows hands on rows of its own carry behind them.
/// Returns g_vz [R, 2E]: g_v, then g_z.
BX_API Tensor ssm_conv_backward(const Tensor& vz, const Tensor& conv_weight,
                                const Tensor& conv_bias, const Tensor& tail, const Tensor& g_u,
                                const Tensor& g_z, const Tensor& carry);

struct SelectiveScanGradients {
  Tensor u;       ///< [R, E]
  Tensor params;  ///< [R, W]: 0 in columns that the scan ignores
  Tensor dt;      ///< [R, E]; empty if the time step has rank 1
  Tensor z;       ///< [R, E]
};
/// The gradients of selective_scan. The states are computed again from h at the read version. The
/// arguments are those of selective_scan. If selective_scan runs in the same step, a segment that
/// keeps its state must have different read and write versions.
/// carry  carry, f32 [N, E]: exp(-exp(a_log) * dt) * G of the next step's first row, where G is the
///        gradient of its h
/// Returns the gradients of u, params, dt and z. The clip passes a gradient only where the time step
/// lies strictly between its bounds.
BX_API SelectiveScanGradients selective_scan_backward(const Tensor& u, const Tensor& params,
                                                      const Tensor& dt, const Tensor& z,
                                                      const SelectiveScanWeights& weights,
                                                      const SelectiveScanOptions& options,
                                                      const Tensor& h, const Tensor& g_y,
                                                      const Tensor& carry);

struct AttnAppendWeights {
  Tensor q_norm{};  ///< [1, 1, d], or empty for no norm of heads
  Tensor k_norm{};  ///< [1, 1, d], or empty
  Tensor rotary{};  ///< f32 [1, positions, d], or empty for no rotation
};
/// The second part of attn_in, after the products q, k and v with their biases: norms of heads,
/// rotation, and the KV cache. turn() is that of attn_in.
///   keys[p] = turn(k, k_norm), values[p] = v
/// q             [R, Hq * d]
/// k, v          [R, Hk * d]
/// keys, values  state in pages, f32 or f16 [BX_PAGE_ROWS, Hk * d] each
/// Returns turn(q, q_norm) [R, Hq * d].
BX_API Tensor attn_append(const Tensor& q, const Tensor& k, const Tensor& v,
                          const AttnAppendWeights& weights, float eps, const Tensor& keys,
                          const Tensor& values);
struct AttnAppendGradients {
  Tensor q, k, v;
};
/// The gradients of attn_append.
/// q, k              the arguments of attn_append
/// g_y               [R, Hq * d]: the gradient of the turned queries
/// g_keys, g_values  state in pages, f32 [BX_PAGE_ROWS, Hk * d]: the gradients of keys and values,
///                   complete for the rows of the step
/// Returns the gradients of q, k and v.
BX_API AttnAppendGradients attn_append_backward(const Tensor& q, const Tensor& k,
                                                const AttnAppendWeights& weights, float eps,
                                                const Tensor& g_y, const Tensor& g_keys,
                                                const Tensor& g_values);
/// The gradients of attention.
///   P = softmax(scores); dP = g_y V^T; dS = P * (dP - dot(g_y, y)) / sqrt(d)
///   g_q = dS K;  g_keys += dS^T Q;  g_values += P^T g_y
/// q, y              [R, Hq * d]: the argument and the result of attention
/// g_keys, g_values  state in pages, f32 [BX_PAGE_ROWS, Hk * d], in the page group of keys and values.
///                   The rows of all positions that the segment attends to are written. If the
///                   segment keeps its state, later steps have already written the rows from the first
///                   position that the row behind the segment attends to on. The gradients are added
///                   to these rows.
/// Returns g_q [R, Hq * d].
BX_API Tensor attention_backward(const Tensor& q, const Tensor& keys, const Tensor& values,
                                 const AttentionForm& form, const Tensor& y, const Tensor& g_y,
                                 const Tensor& g_keys, const Tensor& g_values);

struct MoeGateUpResult {
  Tensor gate, up;  ///< [R, top_k, I] each
};
/// The products of the first half of the chosen experts.
///   gate[r, s] = gate[e] @ x[r], up[r, s] = up[e] @ x[r], e = experts[r, s]
/// x         [R, D]
/// experts   i32 [R, top_k]
/// gate, up  [X, I, D]
/// Returns both products.
BX_API MoeGateUpResult moe_gate_up(const Tensor& x, const Tensor& experts, const Tensor& gate,
                                   const Tensor& up);
/// The gradient of moe_gate_up.
///   g_x[r] = sum_s gate[e]^T g_gate[r, s] + up[e]^T g_up[r, s]
/// Returns g_x [R, D].
BX_API Tensor moe_gate_up_backward(const Tensor& g_gate, const Tensor& g_up, const Tensor& experts,
                                   const Tensor& gate, const Tensor& up);
struct MoeDownGradients {
  Tensor act;    ///< [R, top_k, I]: gates[r, s] * down[e]^T g_y[r]
  Tensor gates;  ///< [R, top_k + 1]: dot(down[e]^T g_y[r], act[r, s]), and 0 for the shared expert
};
/// The gradients of moe_down without a shared expert. The gradient of the residual is g_y.
/// Returns the gradients of act and gates.
BX_API MoeDownGradients moe_down_backward(const Tensor& act, const Tensor& experts,
                                          const Tensor& gates, const Tensor& down,
                                          const Tensor& g_y);
/// The gradient of moe_route. The choice of experts is constant. The gates are computed again from
/// `normed`. d is g_gates for the chosen experts and 0 for the others.
///   without renormalize: d_logit = g * (d - dot(d, g)) over all experts, g = softmax(logits)
///   with renormalize: the same over the chosen experts alone, g = gates, and 0 for the others
///   d_tau = g_gates[top_k] * tau * (1 - tau)
///   g_n = g_normed + gate^T d_logit + d_tau * shared_gate; then as rms_norm_backward
/// normed, experts, gates  the results of moe_route; the other arguments are those of moe_route
/// g_normed, g_gates       each may be empty, which stands for zeros
/// Returns g_x [R, D].
BX_API Tensor moe_route_backward(const Tensor& x, const Tensor& norm, float eps, const Tensor& gate,
                                 const Tensor& shared_gate, bool renormalize,
                                 const MoeRouteResult& result, const Tensor& g_normed,
                                 const Tensor& g_gates);

/// Cross entropy and its gradient. The label of output o is StepBuffer::ids[o].
///   log_probs[output_rows[o]] = log softmax(logits[o])[label]
///   g_logits[o, v] = factors[output_rows[o]] * (softmax(logits[o])[v] - (v == label))
/// logits     [O, V]
/// factors    shared state, f32 [1, capacity]: -dL/dlog_prob of each row of the store
/// log_probs  shared state, f32 [1, capacity]
/// Log-probabilities near 0 keep their relative precision: the sum of the exponentials leaves out the
/// label, and its logarithm is a log1p where the label has the largest logit.
/// Returns g_logits [O, V].
BX_API Tensor cross_entropy(const Tensor& logits, const Tensor& factors, const Tensor& log_probs);

/// The sum of squares of a vector, in float64 or with compensated float32 sums, over blocks of a fixed
/// size.
/// vector  shared state, f32 [1, n]
/// result  shared state, f32 [1, 1]
/// Returns nothing.
BX_API void sum_squares(const Tensor& vector, const Tensor& result);
/// One update of AdamW, for every element.
///   g = clip * gradient;  p = p * (1 - lr * wd)
///   m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g^2
///   p = p - lr * (m / c1) / (sqrt(v / c2) + eps)
/// parameters, gradients, first, second  shared state, f32 [1, n]; gradients are read only
/// numbers  shared state, f32 [1, 8]: clip, lr, lr * wd, b1, b2, c1, c2, eps
/// Returns nothing.
/// Source  Loshchilov & Hutter 2017, "Decoupled weight decay regularization", algorithm 2; without
/// bias correction c1 = c2 = 1.
BX_API void adamw(const Tensor& parameters, const Tensor& gradients, const Tensor& first,
                  const Tensor& second, const Tensor& numbers);

}  // namespace bitaxon
