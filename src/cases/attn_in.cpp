#include <array>
#include <cmath>
#include <optional>

#include "cases/errors.h"

namespace bitaxon::test {
namespace {

struct Spec {
  Format format = Format::f32;
  /// The format of k if `mixed` is set. Then q has `format`, and v has f16.
  Format k_format = Format::f32;
  bool mixed = false;
  DType dtype = DType::f32;  ///< of keys and values
  std::int64_t d_model = 64;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  bool norm = true;
  double x_spread = 1;
  // Forms with heads. head_dim 0: q, k and v are square matrices, and heads do not matter.
  std::int64_t head_dim = 0;
  std::int64_t n_heads = 4;
  std::int64_t n_kv_heads = 2;
  bool biases = false;
  bool head_norms = false;
  std::int64_t n_positions = 0;  ///< rows of the rotary table; 0: no table
  bool outside_table = false;    ///< a row is at a position outside the table, so that it gets NaN

  std::int64_t q_width() const { return head_dim == 0 ? d_model : n_heads * head_dim; }
  std::int64_t kv_width() const { return head_dim == 0 ? d_model : n_kv_heads * head_dim; }
};

/// The indices of the weights and states of a case. Empty for a weight that the op does not get.
struct Parts {
  std::size_t x = 0;
  std::optional<std::size_t> norm, rotary;
  std::array<std::size_t, 3> projections{};              ///< q, k, v
  std::array<std::optional<std::size_t>, 3> biases{};    ///< q, k, v
  std::array<std::optional<std::size_t>, 2> head_norms;  ///< q, k
};

/// norm[i] * h[i] / sqrt(mean(h^2) + 1e-6)
void normalize(std::span<Rounded> head, std::span<const float> norm) {
  Sum squares;
  for (const Rounded& h : head) squares.add(function([](double v) { return v * v; }, h, kRounding));
  const Rounded sum = squares.result();
  const auto n = static_cast<double>(head.size());
  const Rounded scale =
      function([](double v) { return 1 / std::sqrt(v); },
               {sum.value / n + 1e-6, sum.worst / n, sum.bias / n, sum.noise / n}, 8.5 * kUlp);
  for (std::size_t c = 0; c < head.size(); ++c)
    head[c] = head[c] * Rounded{static_cast<double>(norm[c])} * scale;
}

/// Rotates the pairs (i, i + d/2) of a head. `angles` holds d/2 pairs of cosine and sine.
void rotate(std::span<Rounded> head, std::span<const float> angles) {
  const std::size_t half = head.size() / 2;
  for (std::size_t i = 0; i < half; ++i) {
    const Rounded cosine{static_cast<double>(angles[2 * i])};
    const Rounded sine{static_cast<double>(angles[2 * i + 1])};
    const Rounded minus_sine{-sine.value};
    const Rounded low = head[i];
    const Rounded high = head[i + half];
    head[i] = low * cosine + high * minus_sine;
    head[i + half] = high * cosine + low * sine;
  }
}

/// The values of q, k or v (0, 1 or 2), for all valid rows.
std::vector<Rounded> projected(const OpProblem& p, const Spec& spec, const Parts& parts,
                               const std::vector<NormedRow>& rows, std::size_t which) {
  std::vector<Rounded> all = products(p.weights()[parts.projections[which]], rows);
  const std::size_t width = all.size() / rows.size();
  if (parts.biases[which]) {
    const auto bias = values_of(p.weights()[*parts.biases[which]]);
    for (std::size_t i = 0; i < all.size(); ++i)
      all[i] = all[i] + Rounded{static_cast<double>(bias[i % width])};
  }
  if (which == 2 || spec.head_dim == 0) return all;
  const auto head_dim = static_cast<std::size_t>(spec.head_dim);
  std::vector<float> norm, table;
  if (parts.head_norms[which]) norm = values_of(p.weights()[*parts.head_norms[which]]);
  if (parts.rotary) table = values_of(p.weights()[*parts.rotary]);
  for (const SegmentWords& segment : p.segments())
    for (std::uint32_t i = 0; i < segment.n_rows; ++i)
      for (std::size_t c = 0; c < width; c += head_dim) {
        const auto head = std::span(all).subspan((segment.first_row + i) * width + c, head_dim);
        if (!norm.empty()) normalize(head, norm);
        if (!table.empty())
          rotate(head, std::span(table).subspan((segment.position + i) * head_dim, head_dim));
      }
  return all;
}

ResultErrors errors_of(const OpProblem& p, const Spec& spec, const Parts& parts) {
  const auto rows = normed_rows(p, parts.x, parts.norm, 1e-6);
  ResultErrors errors = {allowed_of(projected(p, spec, parts, rows, 0))};
  // The op writes each row of k and v to a page. Every such row is a result of its own.
  for (const std::size_t which : {1U, 2U}) {
    const auto all = allowed_of(projected(p, spec, parts, rows, which));
    for (auto row = all.begin(); row != all.end(); row += spec.kv_width())
      errors.push_back({row, row + spec.kv_width()});
  }
  return errors;
}

/// A rotary table. Its angles are no multiples of frequencies, so that a row or a pair that is
/// taken for another shows.
std::vector<float> random_table(OpProblem& p, std::int64_t n_positions, std::int64_t head_dim) {
  std::vector<float> table;
  for (std::int64_t i = 0; i < n_positions * head_dim / 2; ++i) {
    const double angle = p.random().uniform(-3.14, 3.14);
    table.push_back(static_cast<float>(1.2 * std::cos(angle)));
    table.push_back(static_cast<float>(1.2 * std::sin(angle)));
  }
  return table;
}

Parts add_parts(OpProblem& p, const Spec& spec) {
  const std::int64_t d = spec.d_model;
  const double spread = 1 / std::sqrt(static_cast<double>(d));
  Parts parts;
  parts.x = p.add_input(d, spec.x_spread);
  const auto norm = p.add_weight(Format::f32, {1, 1, d}, 0.3, 1);
  if (spec.norm) parts.norm = norm;
  parts.projections = {
      p.add_weight(spec.format, {1, spec.q_width(), d}, spread),
      p.add_weight(spec.mixed ? spec.k_format : spec.format, {1, spec.kv_width(), d}, spread),
      p.add_weight(spec.mixed ? Format::f16 : spec.format, {1, spec.kv_width(), d}, spread)};
  if (spec.biases)
    for (std::size_t i = 0; i < 3; ++i)
      parts.biases[i] = p.add_weight(i == 1 ? Format::f16 : Format::f32,
                                     {1, 1, i == 0 ? spec.q_width() : spec.kv_width()}, 0.7);
  if (spec.head_norms)
    parts.head_norms = {p.add_weight(Format::bf16, {1, 1, spec.head_dim}, 0.3, 1),
                        p.add_weight(Format::f32, {1, 1, spec.head_dim}, 0.3, 1)};
  if (spec.n_positions > 0)
    parts.rotary = p.add_weight({1, spec.n_positions, spec.head_dim},
                                random_table(p, spec.n_positions, spec.head_dim));
  return parts;
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const Parts parts = add_parts(p, spec);
  const auto keys = p.add_pages(spec.dtype, spec.kv_width(), 0);
  const auto values = p.add_pages(spec.dtype, spec.kv_width(), 0);
  if (!spec.outside_table)
    p.errors = [=](const OpProblem& problem) { return errors_of(problem, spec, parts); };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    const auto weight = [&](std::optional<std::size_t> index) {
      return index ? h.weights[*index] : Tensor();
    };
    return {attn_in(h.inputs[parts.x],
                    {.norm = weight(parts.norm),
                     .q = weight(parts.projections[0]),
                     .k = weight(parts.projections[1]),
                     .v = weight(parts.projections[2]),
                     .q_bias = weight(parts.biases[0]),
                     .k_bias = weight(parts.biases[1]),
                     .v_bias = weight(parts.biases[2]),
                     .q_norm = weight(parts.head_norms[0]),
                     .k_norm = weight(parts.head_norms[1]),
                     .rotary = weight(parts.rotary)},
                    1e-6F, h.states[keys], h.states[values])};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {spec.outside_table ? 1e-4 : 0, "float32 sums of D products, in any order",
           spec.outside_table},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

/// One row at `position`, in a bucket of one row, as in decode.
Spec one_row(std::uint32_t position, Spec spec = {}) {
  spec.segments = one_segment(1, position);
  spec.capacity = 1;
  return spec;
}

void add_decoding(std::vector<OpCase>& cases) {
  for (Format format : kEveryFormat)
    cases.push_back(make("one_row_format_" + std::string(name_of(format)), tags_of(format),
                         one_row(44, {.format = format, .dtype = DType::f16, .d_model = 128})));
  cases.push_back(make("one_row_f32", kPlain, one_row(45)));
  cases.push_back(make("one_row_of_three_formats", kEdge,
                       one_row(100, {.format = Format::q4_g64,
                                     .k_format = Format::nf4_g64,
                                     .mixed = true,
                                     .dtype = DType::f16,
                                     .d_model = 128})));
  cases.push_back(make("one_row_without_norm", kEdge, one_row(0, {.norm = false})));
  for (std::int64_t d : {1, 2, 6, 13, 30, 67})
    for (DType dtype : {DType::f32, DType::f16})
      cases.push_back(make("one_row_of_" + std::to_string(d) + "_" + std::string(name_of(dtype)),
                           kEdge, one_row(58, {.dtype = dtype, .d_model = d})));
  cases.push_back(make("one_row_at_largest_position", kEdge, one_row(0xFFFFFFF0U)));
  cases.push_back(
      make("one_row_tiny_values_f16", kEdge,
           one_row(3, {.dtype = DType::f16, .d_model = 256, .norm = false, .x_spread = 1e-6})));
  cases.push_back(
      make("one_row_f16_overflows", kEdge,
           one_row(3, {.dtype = DType::f16, .d_model = 256, .norm = false, .x_spread = 6e4})));
}

/// With an odd number of float16 columns, the last word of a row may also hold the first element of
/// the next row. A step writes both of these rows or only one of them.
void add_odd_half_rows(std::vector<OpCase>& cases) {
  for (std::int64_t d : {1, 3, 13})
    for (std::uint32_t position : {0U, 1U, 60U, 61U})
      cases.push_back(
          make("odd_f16_" + std::to_string(d) + "_at_" + std::to_string(position), kEdge,
               {.dtype = DType::f16, .d_model = d, .segments = one_segment(7, position)}));
  cases.push_back(make("odd_f16_three_segments", kEdge,
                       {.dtype = DType::f16, .d_model = 13, .segments = three_segments()}));
  cases.push_back(
      make("odd_f16_full_bucket", kEdge,
           {.dtype = DType::f16, .d_model = 5, .segments = one_segment(9, 5), .capacity = 9}));
}

/// Heads of their own width, biases, norms of heads, and rotation.
void add_forms(std::vector<OpCase>& cases) {
  struct Form {
    const char* name;
    std::int64_t d_model, head_dim, n_heads, n_kv_heads;
    bool biases, head_norms, rotates;
  };
  constexpr Form kForms[] = {{"grouped", 64, 8, 6, 2, false, false, false},
                             {"biases", 64, 16, 4, 2, true, false, false},
                             {"head_norms", 48, 24, 6, 2, false, true, false},
                             {"rotation", 64, 16, 4, 4, false, false, true},
                             {"all", 128, 64, 4, 2, true, true, true},
                             {"odd", 13, 6, 5, 5, true, true, true},
                             {"pair", 7, 2, 3, 1, true, true, true},
                             {"odd_heads", 33, 5, 6, 3, true, true, false},
                             {"one_kv_head", 40, 130, 20, 1, false, true, true}};
  for (const Form& form : kForms)
    for (DType dtype : {DType::f32, DType::f16}) {
      const Spec spec{.dtype = dtype,
                      .d_model = form.d_model,
                      .segments = three_segments(),
                      .head_dim = form.head_dim,
                      .n_heads = form.n_heads,
                      .n_kv_heads = form.n_kv_heads,
                      .biases = form.biases,
                      .head_norms = form.head_norms,
                      .n_positions = form.rotates ? 61 : 0};
      const std::string label = std::string(form.name) + "_" + std::string(name_of(dtype));
      const bool chosen = dtype == DType::f16 && form.d_model == 128;
      cases.push_back(make(label, chosen ? kEdge | kEveryMode : kEdge, spec));
      Spec single = spec;
      single.segments = one_segment(1, 60);  // the last row of the table
      single.capacity = 1;
      cases.push_back(make("one_row_" + label, kEdge, single));
    }
  for (std::uint32_t n : {1U, 3U})
    cases.push_back(make("outside_the_table_" + std::to_string(n), kEdge,
                         {.dtype = DType::f16,
                          .segments = one_segment(n, 61 - n),
                          .capacity = n == 1 ? 1 : 0,
                          .head_dim = 8,
                          .n_positions = 60,
                          .outside_table = true}));
  for (Format format : {Format::q4_g64, Format::nf4_g64})
    for (std::uint32_t n : {1U, 33U})
      cases.push_back(make("all_" + std::string(name_of(format)) + "_" + std::to_string(n), kEdge,
                           {.format = format,
                            .dtype = DType::f16,
                            .d_model = 128,
                            .segments = one_segment(n, 5),
                            .capacity = n == 1 ? 1 : 0,
                            .head_dim = 64,
                            .biases = true,
                            .head_norms = true,
                            .n_positions = 100}));
}

}  // namespace

std::vector<OpCase> attn_in_cases() {
  std::vector<OpCase> cases;
  add_forms(cases);
  for (Format format : kEveryFormat)
    cases.push_back(make("format_" + std::string(name_of(format)), tags_of(format),
                         {.format = format, .d_model = 128}));
  for (std::uint32_t n : {1U, 2U, 5U, 16U, 33U})
    for (DType dtype : {DType::f32, DType::f16})
      cases.push_back(make("rows_" + std::to_string(n) + "_" + std::string(name_of(dtype)), kPlain,
                           {.dtype = dtype, .segments = one_segment(n, 3)}));
  cases.push_back(make("last_row_of_page", kEdge, {.segments = one_segment(1, 63)}));
  cases.push_back(make("first_row_of_page", kEdge, {.segments = one_segment(1, 64)}));
  cases.push_back(make("step_across_pages", kEdge, {.segments = one_segment(5, 62)}));
  cases.push_back(make("step_across_later_pages", kEdge, {.segments = one_segment(70, 6398)}));
  cases.push_back(make("full_bucket", kEdge, {.segments = one_segment(8, 5), .capacity = 8}));
  cases.push_back(make("largest_position", kEdge, {.segments = one_segment(3, 0xFFFFFF00U)}));
  cases.push_back(make("odd_sizes", kEdge, {.d_model = 13, .segments = three_segments()}));
  cases.push_back(make("three_segments", kEdge, {.segments = three_segments()}));
  cases.push_back(make("without_norm", kEdge, {.segments = three_segments(), .norm = false}));
  cases.push_back(make("large_values", kEdge, {.norm = false, .x_spread = 1e18}));
  cases.push_back(make("tiny_values", kEdge, {.norm = false, .x_spread = 1e-18}));
  cases.push_back(
      make("tiny_values_f16", kEdge, {.dtype = DType::f16, .norm = false, .x_spread = 1e-6}));
  cases.push_back(
      make("f16_overflows", kEdge, {.dtype = DType::f16, .norm = false, .x_spread = 1e9}));
  add_decoding(cases);
  add_odd_half_rows(cases);
  cases.push_back(
      make("model_one_row", kModel | kBench,
           one_row(5000, {.format = Format::q4_g64, .dtype = DType::f16, .d_model = 2560})));
  cases.push_back(make("model", kModel | kBench,
                       {.format = Format::q4_g64,
                        .dtype = DType::f16,
                        .d_model = 2560,
                        .segments = one_segment(2, 5000)}));
  return cases;
}

}  // namespace bitaxon::test
