#include "bitaxon/training_ops.h"
#include "cases/ssm_conv_spec.h"

namespace bitaxon::test {
namespace {

/// Element e of row r of v in a segment. A negative r means a row of the tail.
Rounded row_of_v(const OpProblem& p, const ConvSpec& spec, const ConvParts& parts,
                 const SegmentWords& segment, std::int64_t r, std::int64_t e) {
  if (r >= 0)
    return {static_cast<double>(
        input_row(p, parts.vz, segment.first_row + r)[static_cast<std::size_t>(e)])};
  if (segment.position == 0) return {};
  const auto* from =
      reinterpret_cast<const float*>(p.state_bytes(parts.tail, segment.slot, segment.read_version));
  return {static_cast<double>(from[(spec.d_conv - 1 + r) * spec.d_inner + e])};
}

/// The errors of u. z and the new tail are copies.
ResultErrors errors_of(const OpProblem& p, const ConvSpec& spec, const ConvParts& parts) {
  const std::vector<float> taps = values_of(p.weights()[parts.taps]);
  const std::vector<float> bias = spec.bias
                                      ? values_of(p.weights()[parts.bias])
                                      : std::vector<float>(static_cast<std::size_t>(spec.d_inner));
  ResultErrors errors(2);
  for (const SegmentWords& segment : p.segments()) {
    for (std::int64_t r = 0; r < segment.n_rows; ++r)
      for (std::int64_t e = 0; e < spec.d_inner; ++e) {
        Sum sum;
        sum.add({static_cast<double>(bias[static_cast<std::size_t>(e)])});
        for (std::int64_t k = 0; k < spec.d_conv; ++k)
          sum.add(
              row_of_v(p, spec, parts, segment, r - (spec.d_conv - 1) + k, e) *
              Rounded{static_cast<double>(taps[static_cast<std::size_t>(e * spec.d_conv + k)])});
        errors[0].push_back(allowed_of(silu_of(sum.result())));
      }
    if (segment.keeps_state != 0)
      errors.emplace_back(static_cast<std::size_t>((spec.d_conv - 1) * spec.d_inner), 0.0);
  }
  errors[1].resize(errors[0].size());
  return errors;
}

void build(OpProblem& p, const ConvSpec& spec) {
  const ConvParts parts = add_conv(p, spec);
  p.errors = [=](const OpProblem& problem) { return errors_of(problem, spec, parts); };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    const auto [u, z] =
        ssm_conv(h.inputs[parts.vz], h.weights[parts.taps],
                 spec.bias ? h.weights[parts.bias] : Tensor(), h.states[parts.tail]);
    return {u, z};
  };
}

}  // namespace

std::vector<OpCase> ssm_conv_cases() {
  return cases_of(conv_specs(), 0, "float32 sums of K products in any order, and a SiLU", build);
}

}  // namespace bitaxon::test
